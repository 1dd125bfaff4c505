import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { command, holdfastCommand } from '../support/holdfast-command.ts';
import { waitForPack } from '../faults/wait-for-pack.ts';
import { findProcesses } from '../setup/leftovers.ts';
import { type SshServer, startSshServer } from '../docker/ssh-server.ts';
import { motoCredentials, type MotoServer, startMoto } from './moto-server.ts';
import { type RestServer, startRestServer } from './rest-server.ts';
import { makeStoredKeyCheap, type Place } from './with-store.ts';

let folder: string;
let moto: MotoServer;
let rest: RestServer;
let ssh: SshServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kills-'));
  [moto, rest, ssh] = await Promise.all([
    startMoto(),
    startRestServer(),
    startSshServer(join(folder, 'ssh')),
  ]);
});
afterAll(async () => {
  for (const server of [moto, rest, ssh]) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const places: Readonly<Record<string, () => Place>> = {
  s3: () => ({
    location: `s3:${moto.endpoint}/bucket/killed`,
    env: {
      AWS_ACCESS_KEY_ID: motoCredentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: motoCredentials.secretAccessKey,
    },
  }),
  rest: () => ({ location: `rest:${rest.url}killed/` }),
  sftp: () => ({
    location: `sftp://127.0.0.1:${ssh.port}/${join(folder, 'by-sftp')}`,
    env: { PATH: `${ssh.path}:${process.env['PATH'] ?? ''}` },
  }),
  rclone: () => ({ location: `rclone::local:${join(folder, 'by-rclone')}` }),
};

interface World {
  readonly env: NodeJS.ProcessEnv;
  readonly source: string;
  readonly holdfast: ReturnType<typeof holdfastCommand>;
  /** Writes files that no backup has seen. */
  addData(): void;
  /** Runs restic, as the judge. */
  restic(...args: string[]): Promise<string>;
}

async function newWorld(name: string, place: Place, options: readonly string[] = []): Promise<World> {
  const root = join(folder, `world-${name}`);
  const source = join(root, 'source');
  mkdirSync(source, { recursive: true });
  const stateDir = join(root, 'state');
  const own = { HOLDFAST_STATE_DIR: stateDir, HOLDFAST_HOST: 'embedded', ...place.env };
  const holdfast = holdfastCommand(stateDir, own);
  await holdfast.run('init', '--repo', place.location, ...options);
  await makeStoredKeyCheap(place, { stateDir });
  const env = { ...process.env, ...own };
  let count = 0;
  return {
    env,
    source,
    holdfast,
    addData() {
      for (let i = 0; i < 4; i++) writeFileSync(join(source, `large-${count++}`), randomBytes(12_000_000));
      for (let i = 0; i < 50; i++) writeFileSync(join(source, `small-${count++}`), randomBytes(5000));
    },
    async restic(...args) {
      const key = readdirSync(join(stateDir, 'keys')).find((name) => name.endsWith('.key')) ?? '';
      const all = ['-r', place.location, '-p', join(stateDir, 'keys', key), '--no-cache', ...args];
      const result = await runCommand('restic', all, { env });
      expect(result.exitCode, result.output).toBe(0);
      return result.stdout;
    },
  };
}

describe.each(Object.keys(places))('backups by "%s"', (name) => {
  test('that are killed leave a repository that is whole, and nothing running', async () => {
    const world = await newWorld(name, places[name]?.() ?? { location: '' }, ['-o', 'limit-upload=40MiB']);
    world.addData();
    let killed = 0;
    for (const delayMs of [350, 700, 1000, 1300, 1600]) {
      const child = spawn(command, ['backup', world.source], { env: world.env, stdio: 'ignore' });
      const ended = once(child, 'exit');
      await sleep(delayMs);
      if (child.exitCode === null && child.kill('SIGKILL')) killed++;
      await ended;
      const check = await world.holdfast.attempt('check');
      expect(check.exitCode, check.output).toBe(0);
      if (child.exitCode === 0) world.addData();
    }
    expect(killed).toBeGreaterThan(1);
    await world.restic('unlock');
    expect(await world.restic('check', '--read-data')).toContain('no errors were found');
    await world.holdfast.run('backup', world.source);
    expect(await world.holdfast.run('check', '--read-data')).toContain('Whole');
    const mark = `HOLDFAST_TEST_FILE=${process.env['HOLDFAST_TEST_FILE'] ?? ''}`;
    const running = (await findProcesses(mark, { graceMs: 20_000 })).map(({ command: words }) => words);
    expect(running.filter((words) => /rclone|ssh -/.test(words))).toEqual([]);
  });

  test('that are interrupted end soon, say so, and leave no lock', async () => {
    const place = places[name]?.() ?? { location: '' };
    const world = await newWorld(`${name}-int`, { ...place, location: `${place.location}-int` }, [
      '-o',
      'limit-upload=4MiB',
    ]);
    world.addData();
    const child = spawn(command, ['backup', world.source, '--format', 'json'], {
      env: world.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(child, 'exit');
    await expect.poll(() => said).toContain('progress');
    const started = performance.now();
    child.kill('SIGINT');
    expect(await ended, said).toEqual([130, null]);
    expect(performance.now() - started).toBeLessThan(60_000);
    expect((await world.restic('list', 'locks')).trim()).toBe('');
    expect(await world.restic('check', '--read-data')).toContain('no errors were found');
  });
});

describe('a server that goes away in the middle of a backup', () => {
  test('and comes back is waited for', async () => {
    const own = mkdtempSync(join(folder, 'restarted-'));
    let server = await startRestServer({ folder: own });
    const { port } = new URL(server.url);
    const world = await newWorld('restarted', { location: `rest:${server.url}x/` }, [
      '-o',
      'limit-upload=20MiB',
    ]);
    world.addData();
    const backing = world.holdfast.attempt('backup', world.source);
    await waitForPack(join(own, 'x'));
    await server[Symbol.asyncDispose]();
    await sleep(2000);
    server = await startRestServer({ folder: own, port: Number(port) });
    const result = await backing;
    expect(result.exitCode, result.output).toBe(0);
    expect(await world.holdfast.run('check', '--read-data')).toContain('Whole: 1 snapshot,');
    await server[Symbol.asyncDispose]();
  });

  test('and stays away fails the backup in time, and says why', async () => {
    const own = mkdtempSync(join(folder, 'stopped-'));
    const server = await startRestServer({ folder: own });
    const options = ['-o', 'limit-upload=20MiB', '-o', 'retry-for=2s'];
    const world = await newWorld('stopped', { location: `rest:${server.url}x/` }, options);
    world.addData();
    const backing = world.holdfast.attempt('backup', world.source);
    await waitForPack(join(own, 'x'));
    await server[Symbol.asyncDispose]();
    const started = performance.now();
    const result = await backing;
    expect(result.exitCode).toBe(1);
    expect(result.output).toContain('Cannot reach repository');
    expect(performance.now() - started).toBeLessThan(60_000);
  });
});
