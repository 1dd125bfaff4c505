import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CliResult } from '../cli/cli.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { openReplacement } from '../../src/restore/replacement.ts';
import { onEngine } from '../support/on-engine.ts';
import { command } from '../support/holdfast-command.ts';

const on = onEngine({ host: 'docker' });

const attempt = (...args: string[]): Promise<CliResult> => on.attempt(args);

/** Claims as a Holdfast of another state folder, from this process. */
async function claimHere(what: string): Promise<AsyncDisposable> {
  await using host = await openDockerHost({ env: { DOCKER_HOST: on.engine.dockerHost } });
  const claim = await host.claim?.(what);
  if (claim === undefined || 'heldBy' in claim) throw new Error(`Cannot claim "${what}"`);
  return claim;
}

async function fill(volume: string): Promise<void> {
  await on.engine.docker(['volume', 'create', volume]);
  mkdirSync(join(on.engine.volumePath(volume), 'files'));
  writeFileSync(join(on.engine.volumePath(volume), 'files/one'), 'one');
}

test('a volume that another state folder works on is neither saved nor restored, and the error names the process', async () => {
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
  const file = join(on.engine.volumePath('undone'), 'files/one');
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

test('what a killed restore left is not settled while another state folder works on the volume', async () => {
  await fill('left');
  const file = join(on.engine.volumePath('left'), 'files/one');
  const { stateDir } = on.cli;
  {
    await using host = await openDockerHost({ env: { DOCKER_HOST: on.engine.dockerHost } });
    const { identity: hostIdentity } = await host.info();
    const root = on.engine.volumePath('left');
    const members = [{ kind: 'volume', name: 'left', identity: 'of left', root }] as const;
    const request = { stateDir, action: 'restore', hostIdentity, snapshotIds: [], members } as const;
    await using replacement = await openReplacement(request);
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

test('a container that another state folder needs to be still is waited for', async () => {
  await fill('used');
  await on.engine.docker(['run', '-d', '--name', 'user', '-v', 'used:/data', 'busybox', 'sleep', '1000']);
  const claim = await claimHere('app user');
  const saving = spawn(command, ['backup', 'used', '--consistency', 'pause'], {
    env: { ...process.env, HOLDFAST_STATE_DIR: on.cli.stateDir, ...on.environment() },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => {
    saving.on('exit', resolve);
  });
  expect(await Promise.race([ended, sleep(8_000, 'waits')])).toBe('waits');
  await claim[Symbol.asyncDispose]();
  expect(await ended).toBe(0);
  expect(await on.engine.docker(['inspect', '-f', '{{.State.Status}}', 'user'])).toBe('running');
  await on.engine.docker(['rm', '-f', 'user']);
});
