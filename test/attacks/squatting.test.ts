import { type ChildProcess, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { claimOnMachine } from '../../src/lib/machine-claim.ts';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });

/**
 * Another user's program that takes all these names while it runs: it answers at one, hangs with a full queue
 * at the next, and comes and goes at the third; it also tries to make every lock file.
 */
const program = `
  const { createServer, connect } = require('node:net');
  const { openSync, mkdirSync } = require('node:fs');
  process.setgroups([]);
  process.setgid(65534);
  process.setuid(65534);
  const ids = JSON.parse(process.argv[1]);
  const way = process.argv[2];
  const listen = (id) => {
    const path = '\\0holdfast/' + id;
    const server = createServer();
    server.on('error', () => setTimeout(listen, 1, id));
    server.listen({ path, backlog: way === 'hang' ? 1 : 511 }, () => {
      if (way === 'flip') server.close(() => setImmediate(listen, id));
      if (way === 'hang') for (let i = 0; i < 4; i++) connect({ path }).on('error', () => {});
    });
  };
  for (const id of ids) listen(id);
  const grab = () => {
    for (const id of ids) {
      for (const folder of ['/run/holdfast-claims', '/tmp/holdfast-claims']) {
        try { mkdirSync(folder); } catch {}
        try { openSync(folder + '/' + id, 'w'); console.log('grabbed ' + folder); } catch {}
      }
    }
  };
  grab();
  console.log('ready');
  if (way === 'hang') setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 500);
  else setInterval(grab, 100);`;

async function squat(ids: readonly string[], way: string): Promise<{ said(): string } & AsyncDisposable> {
  const child: ChildProcess = spawn(process.execPath, ['-e', program, JSON.stringify(ids), way], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  while (!said.includes('ready')) await once(child.stdout ?? child, 'data');
  return {
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test(
  'another user who takes every name keeps no backup of root from its work',
  { timeout: 600_000 },
  async () => {
    const volumes = ['one', 'two', 'three', 'four'];
    const identity = await on.engine.docker(['info', '-f', '{{.ID}}']);
    const names = volumes.flatMap((volume) => [
      `docker ${identity} volume ${volume}`,
      `docker ${identity} container ${volume}`,
    ]);
    for (const volume of volumes)
      await on.engine.docker([
        'run',
        '-d',
        '--name',
        volume,
        '-v',
        `${volume}:/data`,
        'busybox',
        'sleep',
        '1000',
      ]);
    await on.run(['backup', ...volumes]);
    const ids = names.map((name) => hash('sha256', name).slice(0, 40));
    for (const way of ['answer', 'hang', 'flip']) {
      await using squatter = await squat(ids, way);
      for (let tries = 0; tries < 20; tries++) {
        for (const name of names) {
          const claim = await claimOnMachine(name);
          if ('heldBy' in claim) throw new Error(`${name} is taken (${way}, try ${tries})`);
          // Root's processes still exclude each other.
          expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: process.pid } });
          await claim[Symbol.asyncDispose]();
        }
      }
      const { exit, stderr } = await on.attempt(['backup', ...volumes]);
      // All of it is saved; on a loaded machine, a moment may be reported as too long.
      expect([0, 3], `${way}: ${stderr}`).toContain(exit);
      expect(stderr).not.toContain('at work on it');
      expect(squatter.said()).not.toContain('grabbed /run');
    }
  },
);
