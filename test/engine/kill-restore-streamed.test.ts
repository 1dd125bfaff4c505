import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { dice, seed, times } from '../faults/seeded.ts';
import { treeFacts } from '../support/tree-facts.ts';

const kills = times({ all: 30, daily: 3 });
const volume = 'far';
const files = 800;

let engine: PrivateEngine;
let cli: Cli;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
  cli = new Cli();
  await cli.init();
});
afterAll(async () => {
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

/** As if the data could not be reached but through the engine. */
function environment(): Record<string, string> {
  return { HOLDFAST_HOST: 'auto', DOCKER_HOST: engine.dockerHost, HOLDFAST_DATA_WAY: 'stream' };
}

async function attempt(...args: string[]): Promise<CliResult> {
  return await cli.attempt(args, { env: environment() });
}

async function run(...args: string[]): Promise<CliResult> {
  const result = await attempt(...args);
  if (result.exit !== 0)
    throw new Error(`"holdfast ${args.join(' ')}" ended with ${result.exit}: ${result.stderr}`);
  return result;
}

function fill(version: string): void {
  const folder = join(engine.volumePath(volume), 'files');
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < files; i++) writeFileSync(join(folder, `f${i}`), `${version} ${i}`.repeat(40));
}

/** What is in the volume; undefined when there is none. */
function facts(): string | undefined {
  const root = engine.volumePath(volume);
  return existsSync(root) ? hash('sha256', JSON.stringify(treeFacts(root))) : undefined;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function countFiles(): number {
  const folder = join(engine.volumePath(volume), 'files');
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/** Kills a restore when the volume was removed, and the new one holds so many files; false when it ended before that. */
async function killedAt(args: readonly string[], count: number): Promise<boolean> {
  const before = inodeOf(engine.volumePath(volume));
  const child = spawn(join(import.meta.dirname, '../../bin/holdfast'), args, {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, ...environment() },
    stdio: 'ignore',
    detached: true,
  });
  let hasEnded = false;
  const ended = new Promise<boolean>((resolve) => {
    child.on('exit', (_, signal) => {
      hasEnded = true;
      resolve(signal === 'SIGKILL');
    });
  });
  while (!hasEnded) {
    const isRemoved = inodeOf(engine.volumePath(volume)) !== before;
    if (isRemoved && countFiles() >= count) break;
    await sleep(1);
  }
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
  return await ended;
}

test(
  `a restore through the engine that is killed ${kills} times is told at the next start, kept out of backups, and undone by recover`,
  { retry: 0, timeout: 30 * 60_000 },
  async () => {
    const random = dice('kill restore streamed');
    await engine.docker(['volume', 'create', '--label', 'mine=yes', volume]);
    fill('old');
    await run('backup', volume);
    const [id = ''] = (await run('snapshots', volume, '-q')).stdout.split('\n');
    const old = facts();
    fill('new');
    let fresh = facts();
    let half = 0;
    for (let round = 0; round < kills; round++) {
      // Also the moment when there is no volume, or an empty one.
      const count = round === 0 ? 0 : random.between(0, files);
      const where = `seed ${seed}, kill ${round + 1}, at ${count} files`;
      await killedAt(['restore', `${volume}@${id.slice(0, 12)}`, '--yes'], count);
      // What the engine was sent may still be on its way.
      const isWhole = (await run('volume', 'ls')).stderr === '';
      if (!isWhole) {
        half++;
        const refused = await attempt('backup', volume);
        expect(refused.exit, where).not.toBe(0);
        if (facts() !== undefined) expect(refused.stderr, where).toContain('what is in it is not whole');
      }
      const recovered = await run('recover');
      if (!isWhole) expect(recovered.stdout, where).toContain('what was in it is back');
      const whole = await run('volume', 'ls');
      expect(whole.stderr, where).toBe('');
      expect(isWhole ? [old, fresh] : [fresh], where).toContain(facts());
      if (facts() === old) {
        fill('new');
        fresh = facts();
      }
      expect(await engine.docker(['ps', '-aq']), where).toBe('');
      expect(await engine.docker(['volume', 'inspect', '-f', '{{json .Labels}}', volume])).toBe(
        '{"mine":"yes"}',
      );
    }
    expect(half, `seed ${seed}: no kill came while it was half restored`).toBeGreaterThan(0);
    await run('backup', volume);
  },
);
