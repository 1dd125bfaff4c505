import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { holdAppJournal, writeAppJournal } from '../../src/quiesce/app-journal.ts';
import { frozenAtMostMs, openFreezing } from '../../src/quiesce/freeze/freezing.ts';
import { planContainers } from '../../src/quiesce/plan-containers.ts';
import { recoverApps } from '../../src/restore/recover.ts';
import { makeStill, type StillRequest } from '../../src/quiesce/still-containers.ts';
import type { StillContainers } from '../../src/quiesce/still-session.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import {
  type FrozenWorld,
  frozenState,
  guardiansOf,
  openFrozenWorld,
  setFrozenState,
} from './frozen-world.fixture.ts';

const run = promisify(execFile);

let engine: PrivateEngine;
let world: FrozenWorld;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasUnifiedGroups: true });
  await engine.importBusybox();
});
afterAll(() => engine?.[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await openFrozenWorld(engine);
  await start('db');
});
afterEach(async () => {
  const ids = (await engine.docker(['ps', '-aq'])).split('\n').filter(Boolean);
  if (ids.length > 0) await engine.docker(['rm', '-f', ...ids]);
  await world[Symbol.asyncDispose]();
  // Not those of the files that run beside.
  expect(guardiansOf(engine.cgroup)).toEqual([]);
});

const counting = 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i > /now; done';

async function start(name: string, ...options: string[]): Promise<void> {
  await engine.docker(['run', '-d', '--name', name, ...options, 'busybox', 'sh', '-c', counting]);
}

async function still(request: Partial<StillRequest> = {}): Promise<StillContainers> {
  const containers = (await world.host.containers?.list()) ?? [];
  return await makeStill(
    world.access,
    { containers, how: 'pause', briefMs: 30_000, reason: 'test', ...request },
    {},
  );
}

async function state(name: string): Promise<string> {
  return await engine.docker(['inspect', '-f', '{{.State.Status}}', name]);
}

/** A busy machine included, and well before the deadline at which a guardian thaws by itself. */
const soonMs = frozenAtMostMs / 2;

async function until(isSo: () => boolean, withinMs: number): Promise<void> {
  const began = performance.now();
  while (!isSo()) {
    if (performance.now() - began > withinMs) throw new Error(`It is not so after ${withinMs} ms`);
    await sleep(1);
  }
}

describe('containers that are still for a short while', () => {
  test('are frozen by the kernel, without their engine noticing', async () => {
    const group = await world.groupOf('db');
    const stat = `/proc/${await engine.docker(['inspect', '-f', '{{.State.Pid}}', 'db'])}/stat`;
    const held = await still();
    expect(frozenState(group)).toBe('1');
    expect(await state('db')).toBe('running');
    expect(guardiansOf(group)).toHaveLength(1);
    // The processor time used by its first process.
    const ticks = (): string | undefined => readFileSync(stat, 'utf8').split(' ')[13];
    const before = ticks();
    await sleep(300);
    expect(ticks()).toBe(before);
    const report = await held.release();
    expect(frozenState(group)).toBe('0');
    expect(report).toMatchObject({ disturbed: [], unhealthy: [], apps: [{ name: 'db' }] });
    expect(report.stillMs).toBeGreaterThan(300);
    expect(guardiansOf(group)).toEqual([]);
    const events = await engine.docker([
      'events',
      '--since',
      '30s',
      '--until',
      '0s',
      '--format',
      '{{.Action}}',
    ]);
    expect(events).not.toContain('pause');
  });

  test('are paused by the engine when it may take long, or longer than the gap between two health checks', async () => {
    await start('picky', '--health-cmd', 'true', '--health-retries', '1', '--health-interval', '30s');
    await using _first = await still();
    expect([await state('db'), await state('picky')]).toEqual(['running', 'paused']);
    await _first.release();
    await using _second = await still({ briefMs: undefined });
    expect([await state('db'), await state('picky')]).toEqual(['paused', 'paused']);
  });

  test('stay healthy though one failed check is too many: they are frozen between two checks', async () => {
    const probe = ['--health-cmd', 'true', '--health-interval', '5s', '--health-timeout', '1s'];
    await start('probed', ...probe, '--health-retries', '1');
    const health = (): Promise<string> =>
      engine.docker([
        'inspect',
        '--format',
        '{{.State.Health.Status}} {{.State.Health.FailingStreak}}',
        'probed',
      ]);
    await vi.waitUntil(async () => (await health()) === 'healthy 0', { timeout: 60_000, interval: 200 });
    for (let times = 0; times < 3; times++) {
      await using held = await still({ briefMs: 2000 });
      expect(await state('probed')).toBe('running');
      await sleep(1500);
      await held.release();
      await sleep(1000);
      expect(await health()).toBe('healthy 0');
    }
  });

  test('are paused by the engine where no guardian can be started', async () => {
    const { execPath } = process;
    process.execPath = '/bin/false';
    try {
      await using _held = await still();
      expect(await state('db')).toBe('paused');
    } finally {
      process.execPath = execPath;
    }
    expect(await state('db')).toBe('running');
  });

  test('are not touched when the disk is too full to record what runs', async () => {
    const group = await world.groupOf('db');
    mkdirSync(join(world.stateDir, 'journal-apps'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', join(world.stateDir, 'journal-apps')]);
    try {
      await expect(still()).rejects.toMatchObject({ code: 'full' });
    } finally {
      await run('umount', [join(world.stateDir, 'journal-apps')]);
    }
    expect([frozenState(group), await state('db')]).toEqual(['0', 'running']);
    expect(guardiansOf(group)).toEqual([]);
  });

  test('wait for another program that has them frozen', async () => {
    const group = await world.groupOf('db');
    setFrozenState(group, '1');
    setTimeout(() => setFrozenState(group, '0'), 400);
    const began = performance.now();
    const held = await still();
    expect(performance.now() - began).toBeGreaterThan(390);
    expect((await held.release()).disturbed).toEqual([]);
  });

  test('stay paused, and are left alone, when a user paused them in the engine just before', async () => {
    const group = await world.groupOf('db');
    const pause = async (): Promise<void> => void (await engine.docker(['pause', 'db']));
    await expect(still({ justBefore: pause })).rejects.toMatchObject({ code: 'conflict' });
    expect(await state('db')).toBe('paused');
    expect(frozenState(group)).toBe('1');
    await engine.docker(['unpause', 'db']);
  });
});

describe('another process that interferes with frozen containers', () => {
  test.each([
    ['lets it run', async (group: string) => setFrozenState(group, '0')],
    ['stops it', async () => void (await engine.docker(['stop', '-t', '1', 'db']))],
    ['starts it again', async () => void (await engine.docker(['restart', '-t', '1', 'db']))],
    ['removes it', async () => void (await engine.docker(['rm', '-f', 'db']))],
  ])('and %s is told, and is no error', async (what, meddle) => {
    const group = await world.groupOf('db');
    const held = await still();
    await meddle(group);
    const report = await held.release();
    expect(report.disturbed).toEqual(['db']);
    const now = await state('db').catch(() => 'gone');
    expect(now).toBe(what === 'stops it' ? 'exited' : what === 'removes it' ? 'gone' : 'running');
    if (now === 'running') expect(frozenState(await world.groupOf('db'))).toBe('0');
  });
});

describe('the guardian', () => {
  test('is not needed for long: when it is killed, all run at once, which is reported', async () => {
    const group = await world.groupOf('db');
    const held = await still();
    const [guardian = 0] = guardiansOf(group);
    process.kill(guardian, 'SIGKILL');
    await until(() => frozenState(group) === '0', soonMs);
    expect((await held.release()).disturbed).toEqual(['db']);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('thaws when it is ended by %s', async (signal) => {
    const group = await world.groupOf('db');
    const held = await still();
    process.kill(guardiansOf(group)[0] ?? 0, signal);
    await until(() => frozenState(group) === '0', soonMs);
    expect((await held.release()).disturbed).toEqual(['db']);
  });

  test('thaws at its deadline', async () => {
    const group = await world.groupOf('db');
    const all = (await world.host.containers?.list()) ?? [];
    const plan = await planContainers(
      world.host.containers!,
      { all, containers: all, how: 'pause' },
      undefined,
    );
    await using freezing = await openFreezing(
      plan.levels,
      { all, containers: world.host.containers! },
      { deadlineMs: 2000 },
    );
    const began = performance.now();
    await freezing.watch();
    for (const step of freezing.levels.flat()) expect(await freezing.freeze(step)).toBe(true);
    expect(frozenState(group)).toBe('1');
    await until(() => frozenState(group) === '0', soonMs);
    expect(performance.now() - began).toBeGreaterThan(1900);
  });

  test('is dead as well: the next start thaws what the journal names, and leaves what a user has paused since', async () => {
    const group = await world.groupOf('db');
    const all = (await world.host.containers?.list()) ?? [];
    const plan = await planContainers(
      world.host.containers!,
      { all, containers: all, how: 'pause' },
      undefined,
    );
    const levels = plan.levels.map((level) =>
      level.map((step) => ({ ...step, how: 'freeze' as const, group })),
    );
    const { identity } = await world.host.info();
    const about = { hostIdentity: identity, reason: 'test', how: 'pause', since: '', levels } as const;
    const leave = async (): Promise<void> => {
      const journal = await writeAppJournal(await holdAppJournal(world.stateDir), about);
      await journal.noteLevel(0, Date.now());
      await journal[Symbol.asyncDispose]();
    };
    await leave();
    setFrozenState(group, '1');
    const { jobs } = await recoverApps(world.access, {});
    expect(jobs).toMatchObject([{ apps: ['db'], error: undefined }]);
    expect(frozenState(group)).toBe('0');
    await leave();
    await engine.docker(['pause', 'db']);
    expect((await recoverApps(world.access, {})).jobs).toMatchObject([{ apps: [], error: undefined }]);
    expect([await state('db'), frozenState(group)]).toEqual(['paused', '1']);
    await engine.docker(['unpause', 'db']);
    await leave();
    await engine.docker(['rm', '-f', 'db']);
    expect((await recoverApps(world.access, {})).jobs).toMatchObject([{ apps: [], error: undefined }]);
    rmSync(join(world.stateDir, 'journal-apps'), { recursive: true });
  });
});
