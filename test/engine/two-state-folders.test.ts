import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { openDockerHost } from '../../src/hosts/docker/index.ts';
import { openReplacement } from '../../src/protect/replacement.ts';

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

function attempt(...args: string[]): Promise<CliResult> {
  return cli.attempt(args, { env: { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost } });
}

/** This process, as a Holdfast of another state folder. */
async function claimHere(what: string): Promise<AsyncDisposable> {
  await using host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
  const claim = await host.claim?.(what);
  if (claim === undefined || 'heldBy' in claim) throw new Error(`Cannot claim "${what}"`);
  return claim;
}

async function fill(volume: string): Promise<void> {
  await engine.docker(['volume', 'create', volume]);
  mkdirSync(join(engine.volumePath(volume), 'files'));
  writeFileSync(join(engine.volumePath(volume), 'files/one'), 'one');
}

test('a volume that is worked on from another state folder is neither saved nor restored, and says who is at it', async () => {
  await fill('shared');
  expect((await attempt('backup', 'shared')).exit).toBe(0);
  {
    await using _claim = await claimHere('volume shared');
    for (const args of [
      ['backup', 'shared'],
      ['restore', 'shared', '--yes'],
    ]) {
      const refused = await attempt(...args);
      expect(refused.stderr).toContain(`process ${process.pid} is at work on it`);
      expect(refused.stderr).toContain('another state folder');
      expect(refused.exit).not.toBe(0);
    }
  }
  expect((await attempt('restore', 'shared', '--yes')).exit).toBe(0);
  expect((await attempt('backup', 'shared')).exit).toBe(0);
});

test('a restore is not undone while another state folder works on the volume', async () => {
  await fill('undone');
  expect((await attempt('backup', 'undone')).exit).toBe(0);
  const file = join(engine.volumePath('undone'), 'files/one');
  writeFileSync(file, 'two');
  expect((await attempt('restore', 'undone', '--yes')).exit).toBe(0);
  {
    await using _claim = await claimHere('volume undone');
    const refused = await attempt('undo', 'undone', '--yes');
    expect(refused.stderr).toContain(`process ${process.pid} is at work on it`);
    expect(refused.exit).toBe(5);
    expect(readFileSync(file, 'utf8')).toBe('one');
  }
  expect((await attempt('undo', 'undone', '--yes')).exit).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe('two');
});

test('what a killed restore has left is not put right while another state folder works on the volume', async () => {
  await fill('left');
  const file = join(engine.volumePath('left'), 'files/one');
  const { stateDir } = cli;
  {
    await using host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
    const { identity: hostIdentity } = await host.info();
    const root = engine.volumePath('left');
    const members = [{ kind: 'volume', name: 'left', identity: 'of left', root }] as const;
    const wish = { stateDir, action: 'restore', hostIdentity, snapshotIds: [], members } as const;
    await using replacement = await openReplacement(wish);
    const [made = ''] = replacement.newPaths;
    mkdirSync(join(made, 'files'), { recursive: true });
    writeFileSync(join(made, 'files/one'), 'new');
    await replacement.swap([]);
    await replacement.giveUp();
    replacement.leave();
  }
  {
    await using _claim = await claimHere('volume left');
    expect((await attempt('recover')).stderr).not.toContain('undone');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readdirSync(join(stateDir, 'journal'))).toHaveLength(1);
  }
  expect((await attempt('recover')).stderr).toContain('of "left" was undone');
  expect(readFileSync(file, 'utf8')).toBe('one');
  expect(readdirSync(join(stateDir, 'journal'))).toEqual([]);
});

test('a container that another state folder counts on to be still is waited for', async () => {
  await fill('used');
  await engine.docker(['run', '-d', '--name', 'user', '-v', 'used:/data', 'busybox', 'sleep', '1000']);
  const claim = await claimHere('app user');
  const saving = spawn(
    join(import.meta.dirname, '../../bin/holdfast'),
    ['backup', 'used', '--consistency', 'pause'],
    {
      env: {
        ...process.env,
        HOLDFAST_STATE_DIR: cli.stateDir,
        HOLDFAST_HOST: 'docker',
        DOCKER_HOST: engine.dockerHost,
      },
      stdio: 'ignore',
    },
  );
  const ended = new Promise<number | null>((resolve) => {
    saving.on('exit', resolve);
  });
  expect(await Promise.race([ended, sleep(8_000, 'waits')])).toBe('waits');
  await claim[Symbol.asyncDispose]();
  expect(await ended).toBe(0);
  expect(await engine.docker(['inspect', '-f', '{{.State.Status}}', 'user'])).toBe('running');
  await engine.docker(['rm', '-f', 'user']);
});
