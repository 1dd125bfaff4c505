import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { openDockerHost } from '../../src/hosts/docker/index.ts';

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
