import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { PluginService } from '../docker/plugin-service.ts';
import { removeContainers } from '../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { dice, moments, seed, times } from '../faults/seeded.ts';
import { mountPoints } from '../setup/leftovers.ts';
import { command, type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';

const kills = times({ all: 40, daily: 6 });

let engine: PrivateEngine;
let docker: PrivateEngine['docker'];
let holdfast: HoldfastCommand;
let stateDir: string;
let env: Record<string, string>;
let plugin: PluginService;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasPluginFolder: true });
  docker = engine.docker;
  await engine.importBusybox();
  stateDir = join(engine.folder, 'state');
  env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  holdfast = holdfastCommand(stateDir, env);
  plugin = new PluginService(stateDir, { socketFolder: engine.pluginFolder });
  await plugin.start();
});
afterAll(async () => {
  if (engine === undefined) return;
  await removeContainers(engine);
  await plugin?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** Counts on from the last line, so that a lost line leaves a permanent gap. */
const counting =
  'trap "exit 0" TERM; i=$(tail -n 1 /data/log 2>/dev/null || echo 0); while :; do i=$((i+1)); echo $i >> /data/log; echo $i > /data/new; mv /data/new /data/f$((i%20)); [ $((i%50)) = 0 ] && sleep 0.01; done';

async function startCounting(volume: string): Promise<void> {
  await docker(['volume', 'create', '-d', plugin.driver, volume]);
  await docker([
    'run',
    '-d',
    '--name',
    `${volume}-app`,
    '-v',
    `${volume}:/data`,
    'busybox',
    'sh',
    '-c',
    counting,
  ]);
  await docker(['exec', `${volume}-app`, 'dd', 'if=/dev/urandom', 'of=/data/large', 'bs=1M', 'count=12']);
}

/** It runs, goes on counting, and has lost no line since it began. */
async function expectCounting(volume: string, where: string): Promise<void> {
  const app = `${volume}-app`;
  const last = async (): Promise<number> =>
    Number(await docker(['exec', app, 'tail', '-n', '1', '/data/log']));
  expect(await docker(['inspect', '-f', '{{.State.Status}}', app]), where).toBe('running');
  const before = await last();
  await expect.poll(last).toBeGreaterThan(before);
  const gaps = 'awk \'$1 != NR && !bad { bad = 1; print "line", NR, "is", $1 }\' /data/log';
  expect(await docker(['exec', app, 'sh', '-c', gaps]), where).toBe('');
}

const typeOfData = (volume: string): Promise<string> =>
  docker(['exec', `${volume}-app`, 'awk', '$2 == "/data" { print $3 }', '/proc/mounts']);

test('a container that writes all the time continues on the new storage, and back again', async () => {
  await startCounting('pg');
  const plan = JSON.parse(
    await holdfast.run('volume', 'migrate', 'pg', '--driver', 'gocryptfs', '--dry-run', '--format', 'json'),
  ) as object;
  expect(plan).toMatchObject({ stops: ['pg-app'], refusal: null, to: { kind: 'gocryptfs' } });
  await expectCounting('pg', 'after the plan');
  const report = JSON.parse(
    await holdfast.run('volume', 'migrate', 'pg', '--driver', 'gocryptfs', '--yes', '--format', 'json'),
  ) as { stillMs: number };
  expect(report).toMatchObject({ stopped: ['pg-app'], unhealthy: [] });
  expect(report.stillMs).toBeGreaterThan(0);
  await expectCounting('pg', 'after the migration');
  expect(await typeOfData('pg')).toMatch(/^fuse/);
  await holdfast.run('volume', 'migrate', 'pg', '--undo', '--yes');
  await expectCounting('pg', 'after the way back');
  expect(await typeOfData('pg')).not.toMatch(/^fuse/);
  await docker(['rm', '-f', 'pg-app']);
});

test('a volume that another state folder works on is not moved', async () => {
  await startCounting('shared');
  const migrate = ['volume', 'migrate', 'shared', '--driver', 'gocryptfs', '--yes'] as const;
  {
    await using host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
    const claim = await host.claim?.('volume shared');
    if (claim === undefined || 'heldBy' in claim) throw new Error('It cannot be claimed');
    await using _claim = claim;
    const { exitCode, output } = await holdfast.attempt(...migrate);
    expect(exitCode, output).toBe(5);
    expect(output).toContain(`Cannot migrate "shared": process ${process.pid} is at work on it`);
    expect(await typeOfData('shared')).not.toMatch(/^fuse/);
  }
  await holdfast.run(...migrate);
  expect(await typeOfData('shared')).toMatch(/^fuse/);
  await docker(['rm', '-f', 'shared-app']);
});

test('a container that cannot be started again is named, and no container is stopped', async () => {
  await docker(['volume', 'create', '-d', plugin.driver, 'once']);
  await docker(['run', '-d', '--rm', '--name', 'once-app', '-v', 'once:/data', 'busybox', 'sleep', '10000']);
  const { exitCode, output } = await holdfast.attempt(
    'volume',
    'migrate',
    'once',
    '--driver',
    'gocryptfs',
    '--yes',
  );
  expect(exitCode, output).toBe(5);
  expect(output).toContain('"once-app" uses it, and cannot be stopped and started again');
  expect(await docker(['inspect', '-f', '{{.State.Status}}', 'once-app'])).toBe('running');
  await docker(['rm', '-f', 'once-app']);
});

test(
  `a migration that is killed at ${kills} moments loses no line and leaves no container stopped`,
  { retry: 0, timeout: 20 * 60_000 },
  async () => {
    const random = dice('kill migration');
    await startCounting('kept');
    let isEncrypted = false;
    const way = (): string[] => [
      'volume',
      'migrate',
      'kept',
      '--driver',
      isEncrypted ? 'local' : 'gocryptfs',
      '--yes',
    ];
    const measure = async (): Promise<number> => {
      const began = performance.now();
      await holdfast.run(...way());
      isEncrypted = !isEncrypted;
      return performance.now() - began;
    };
    let fullMs = await measure();
    const seen = { killed: 0, moved: 0 };
    for (const [round, moment] of moments(kills, random).entries()) {
      const where = `seed ${seed}, kill ${round + 1}, after ${Math.round(moment * fullMs)} of ${Math.round(fullMs)} ms`;
      if (await killed(way(), moment * fullMs)) seen.killed++;
      const recovered = await holdfast.attempt('recover');
      expect(recovered.exitCode, `${where}: ${recovered.output}`).toBe(0);
      await expectCounting('kept', where);
      // The next command that opens the volumes removes what is left over.
      await holdfast.run('--host', 'embedded', 'volume', 'ls');
      const isNow = (await typeOfData('kept')).startsWith('fuse');
      if (isNow !== isEncrypted) seen.moved++;
      isEncrypted = isNow;
      expect(
        mountPoints().filter((path) => path.startsWith(`${stateDir}/trash`)),
        where,
      ).toEqual([]);
      expect(readdirSync(join(stateDir, 'journal-apps')), where).toEqual([]);
      await holdfast.run('trash', 'empty', '--yes');
      expect(readdirSync(join(stateDir, 'trash')), where).toEqual([]);
      fullMs = await measure();
      await expectCounting('kept', where);
    }
    console.log(
      `seed ${seed}: ${seen.killed} of ${kills} were killed before their end, ${seen.moved} had moved`,
    );
    expect(seen.killed).toBeGreaterThan(kills / 4);
  },
);

/** True when it had not ended by itself. */
async function killed(args: readonly string[], afterMs: number): Promise<boolean> {
  const child = spawn(command, args, {
    env: { ...process.env, HOLDFAST_STATE_DIR: stateDir, ...env },
    stdio: 'ignore',
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await Promise.race([sleep(afterMs), ended]);
  child.kill('SIGKILL');
  const [, signal] = await ended;
  return signal === 'SIGKILL';
}
