import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { type Api, startApi } from '../docker/start-api.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { command } from '../support/holdfast-command.ts';

const kills = times({ all: 60, daily: 4 });
const files = 400;

let engine: PrivateEngine;
beforeAll(async () => {
  // Without this, dockerd mounts its folder, and its data cannot be exchanged with another's.
  engine = await startPrivateEngine({ hasSharedMounts: true });
  await engine.importBusybox();
});
afterAll(() => engine?.[Symbol.asyncDispose]());

describe.each(['beside the engine', 'on another file system'])('a restore by a trash %s', (where) => {
  const isFar = where !== 'beside the engine';
  let folder: string;
  let api: Api;
  beforeAll(async () => {
    folder = mkdtempSync(isFar ? '/dev/shm/holdfast-kills-' : join(engine.folder, 'kills-'));
    api = await startApi(folder, '--upstream', engine.dockerHost);
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const environment = () => ({ ...process.env, ...engine.env });
  const trashArgs = (...words: string[]) => [
    'trash',
    ...words,
    '--state-dir',
    api.stateDir,
    '--host',
    'docker',
  ];
  const trash = (...words: string[]): Promise<RunResult> =>
    runCommand(command, trashArgs(...words), { env: environment() });
  const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);
  const inEngine = (): string[] => namesIn(engine.volumePath('lost'));
  const journals = (): string[] =>
    namesIn(join(api.stateDir, 'journal-trash'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => readFileSync(join(api.stateDir, 'journal-trash', name), 'utf8'));
  const isWhole = (): boolean => inEngine().filter((name) => /^f\d+$/.test(name)).length === files;

  /** Takes it out of the engine, with all of its files. */
  async function lose(): Promise<void> {
    await trash('empty', '--yes');
    if (!isWhole()) {
      await engine.docker(['volume', 'rm', '-f', 'lost']);
      await engine.docker(['volume', 'create', '--label', 'env=prod', 'lost']);
      for (let file = 0; file < files; file += 1)
        await writeFile(join(engine.volumePath('lost'), `f${file}`), `precious ${file}`);
    }
    expect((await runCommand('docker', ['-H', `unix://${api.socket}`, 'volume', 'rm', 'lost'])).output).toBe(
      'lost\n',
    );
    expect(await listed()).toBe(1);
  }

  async function listed(): Promise<number> {
    const { output, stdout, exitCode } = await trash('ls', '--format', 'json');
    if (exitCode !== 0) throw new Error(output);
    expect(output).not.toContain('Warning');
    return (JSON.parse(stdout) as unknown[]).length;
  }

  function start(): { readonly child: ChildProcess; readonly ended: Promise<unknown> } {
    const child = spawn(command, trashArgs('restore', 'lost'), { env: environment(), stdio: 'ignore' });
    return { child, ended: once(child, 'exit') };
  }

  /** Waits until it is so, or the command has ended. */
  async function reach(child: ChildProcess, isThere: () => boolean): Promise<void> {
    while (child.exitCode === null && !isSafely(isThere)) await sleep(1);
  }

  async function checkOneWhole(): Promise<void> {
    const count = await listed();
    // An empty folder, which a restore makes before the data moves, goes when it is a minute old.
    const made = join(api.stateDir, 'volumes');
    expect(readdirSync(made).filter((name) => namesIn(join(made, name)).length > 0)).toEqual([]);
    expect(journals()).toEqual([]);
    expect(inEngine().filter((name) => name.startsWith('.holdfast-stage'))).toEqual([]);
    // A copy may be whole at both; moved data is at one.
    if (!isFar || count === 0) expect(count).toBe(isWhole() ? 0 : 1);
    if (count > 0) await trash('restore', 'lost');
    expect(isWhole()).toBe(true);
    expect(readFileSync(join(engine.volumePath('lost'), 'f7'), 'utf8')).toBe('precious 7');
  }

  const steps: [string, () => boolean][] = [
    ['has begun', () => journals().length > 0],
    ['is out of the trash', () => journals().some((text) => text.includes('"data"'))],
    ['has made the volume', () => existsSync(engine.volumePath('lost'))],
    ['copies, or has moved', () => inEngine().length > 0],
    ['has put the first in its place', () => inEngine().some((name) => name.startsWith('f'))],
    ['is to be forgotten', () => isWhole()],
  ];

  test.each(steps)('that is killed when it %s', async (_, isThere) => {
    await lose();
    const { child, ended } = start();
    await reach(child, isThere);
    child.kill('SIGKILL');
    await ended;
    expect(journals().some((text) => text.includes('"root"')) && !isFar).toBe(false);
    await checkOneWhole();
  });

  test(
    `that is killed at ${kills} moments is in the trash or at the engine`,
    { timeout: 20 * 60_000 },
    async () => {
      await lose();
      const began = performance.now();
      await start().ended;
      const wholeMs = performance.now() - began;
      const random = dice(`kill restore trash ${where}`);
      for (const part of moments(kills, random)) {
        await lose();
        const { child, ended } = start();
        await Promise.race([sleep(part * wholeMs), ended]);
        child.kill('SIGKILL');
        await ended;
        await checkOneWhole().catch((error: unknown) => {
          throw new Error(`seed ${seed}, killed at ${Math.round(part * wholeMs)} ms`, { cause: error });
        });
      }
    },
  );

  // Only the copy takes long enough.
  if (isFar)
    test('is not disturbed by a simultaneous removal, which is refused', async () => {
      await lose();
      const { child, ended } = start();
      await reach(child, () => inEngine().length > 0);
      child.kill('SIGSTOP');
      expect(isWhole()).toBe(false);
      const { exitCode, output } = await runCommand('docker', [
        '-H',
        `unix://${api.socket}`,
        'volume',
        'rm',
        'lost',
      ]);
      child.kill('SIGCONT');
      expect(await ended).toEqual([0, null]);
      expect(exitCode).toBe(1);
      expect(output).toContain(`Cannot remove "lost": process ${child.pid} moves its data`);
      expect(isWhole()).toBe(true);
      expect(await listed()).toBe(0);
    });

  test.each(steps.slice(0, 4))('takes nothing from an app that starts when it %s', async (_, isThere) => {
    await lose();
    const { child, ended } = start();
    await reach(child, isThere);
    child.kill('SIGSTOP');
    const isRestored = isWhole();
    const app = 'echo app > /data/app && echo written; sleep 1000';
    await engine.docker(['run', '-d', '--name', 'app', '-v', 'lost:/data', 'busybox', 'sh', '-c', app]);
    await expect.poll(() => engine.docker(['logs', 'app'])).toBe('written');
    child.kill('SIGCONT');
    await ended;
    expect(readFileSync(join(engine.volumePath('lost'), 'app'), 'utf8')).toBe('app\n');
    expect(await engine.docker(['exec', 'app', 'cat', '/data/app'])).toBe('app');
    expect(inEngine().filter((name) => name.startsWith('.holdfast-'))).toEqual([]);
    if (isRestored) expect(isWhole()).toBe(true);
    else {
      expect(inEngine()).toEqual(['app']);
      expect(await listed()).toBe(1);
    }
    await engine.docker(['rm', '-f', 'app']);
    await engine.docker(['volume', 'rm', 'lost']);
    if (!isRestored) await trash('restore', 'lost');
  });
});

/** The data is moving: it may vanish between two looks. */
function isSafely(isThere: () => boolean): boolean {
  try {
    return isThere();
  } catch {
    return false;
  }
}
