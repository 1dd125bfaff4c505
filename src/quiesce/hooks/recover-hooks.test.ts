import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { Hook, HookMoment } from '../../model/hook.ts';
import type { Happening } from '../../activity/notify/notifier.ts';
import { holdAppJournal, writeAppJournal } from '../app-journal.ts';
import { planContainers } from '../plan-containers.ts';
import { recoverAppsAtStart, recoverMore } from '../../restore/recover.ts';
import { type StillWorld, stillWorld } from '../../../test/fixtures/still-world.ts';
import { openHookRun, type HookRun } from './hook-run.ts';

let world: StillWorld;
/** What was run in the container, with the outcome passed to it. */
let ran: string[];
/** The commands that fail. */
let broken: Set<string>;
const told: string[] = [];
const happened: Happening[] = [];

beforeEach(async () => {
  world = await stillWorld();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-01-01T00:00:00Z') });
  ran = [];
  broken = new Set();
  told.length = 0;
  happened.length = 0;
  const notifier = {
    tell(all: readonly Happening[]) {
      happened.push(...all);
      told.push(...all.map(({ message }) => message));
    },
  };
  Object.assign(world.access, { notifier: async () => notifier });
  world.containers.add({ name: 'web' });
  world.containers.onExec((_name, { command, environment }) => {
    const [word = ''] = command;
    ran.push(`${word} ${environment?.['HOLDFAST_OUTCOME'] ?? ''}`.trimEnd());
    return broken.has(word) ? { exitCode: 1, stderr: 'no database' } : {};
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(world.stateDir, { recursive: true });
});

function hook(moment: HookMoment, command: string): Hook {
  const more = { target: 'web', user: undefined, timeoutMs: 1000, origin: 'a label' } as const;
  return { ...more, moment, command: [command], onFailure: 'abort' };
}

async function openRun(): Promise<HookRun> {
  const identity = world.containers.get('web');
  const hooks = [hook('before', 'on'), hook('after', 'off')].map((one) => ({ hook: one, identity }));
  return await openHookRun(world.access, { hooks, volumes: ['data'] });
}

async function backUp(): Promise<readonly AppError[]> {
  const run = await openRun();
  await run.begin({});
  return await run.finish({ outcome: 'good', snapshotId: 'ab' }, {});
}

/** Returns the notes of a start. */
async function start(): Promise<string[]> {
  const notes: string[] = [];
  await recoverAppsAtStart(world.access, { onNote: (note) => notes.push(note) });
  return notes;
}

const minutes = (count: number): void => void vi.setSystemTime(Date.now() + count * 60_000);

test('of two interrupted backups, the one whose container cannot be started delays no hooks of the other', async () => {
  broken.add('off');
  await backUp();
  broken.clear();
  minutes(2);
  world.containers.add({ name: 'db' });
  await leaveStopped('db', 'back up "other"');
  world.containers.fail('start', 'db', { error: new AppError('failed', 'The port 80 is taken') });
  const notes = (await start()).join('\n');
  expect(notes).toContain('were run: off');
  expect(notes).not.toContain('wait until');
});

test.each([
  ['of the same backup', 'db', 'back up "data"'],
  ['in the container itself', 'web', 'back up "other"'],
])('a hook waits while the container is stopped: %s', async (_what, name, reason) => {
  broken.add('off');
  await backUp();
  broken.clear();
  minutes(2);
  if (name === 'db') world.containers.add({ name });
  await leaveStopped(name, reason);
  world.containers.fail('start', name, { error: new AppError('failed', 'The port 80 is taken') });
  expect((await start()).join('\n')).toContain('wait until its containers are back');
  expect(ran.filter((line) => line.startsWith('off'))).toHaveLength(1);
});

test('channels report which container stays stopped, with the reason of the engine, and that it is back', async () => {
  await leaveStopped('web', 'back up "data"');
  world.containers.fail('start', 'web', { error: new AppError('failed', 'The port 80 is taken') });
  await start();
  expect(happened).toMatchObject([
    {
      what: 'failed',
      work: 'recovery',
      subject: 'web',
      detail: expect.stringContaining('The port 80 is taken'),
    },
  ]);
  world.containers.fail('start', 'web', { times: 0 });
  await recoverMore(world.access, { jobs: [], hooks: [], elsewhere: 0 }, {});
  expect(happened[1]).toMatchObject({ what: 'good', onlyRecovery: true, work: 'recovery', subject: 'web' });
});

/** Leaves what a killed job leaves. */
async function leaveStopped(name: string, reason: string): Promise<void> {
  const all = (await world.containers.list()).filter((container) => container.name === name);
  const { levels } = await planContainers(
    world.containers,
    { all, containers: all, how: 'stop', stopsPaused: false },
    undefined,
  );
  const since = new Date(0).toISOString();
  const journal = await writeAppJournal(await holdAppJournal(world.stateDir), {
    hostIdentity: 'engine',
    reason,
    how: 'stop',
    since,
    levels,
  });
  for (const index of levels.keys()) await journal.noteLevel(index, Date.now());
  await journal[Symbol.asyncDispose]();
  await world.containers.stop(name, {});
}

async function journals(): Promise<string[]> {
  return await readdir(path.join(world.stateDir, 'journal-hooks')).catch(() => []);
}

test('a hook that failed after a backup is reported, stays due, and a later start runs it with its environment', async () => {
  broken.add('off');
  expect((await backUp()).map(({ message }) => message)).toEqual([
    expect.stringContaining('The hook "after"'),
  ]);
  minutes(2);
  broken.clear();
  expect(await start()).toEqual([expect.stringContaining('were run: off')]);
  expect(ran).toEqual(['on', 'off good', 'off good']);
  expect(await journals()).toEqual([]);
  expect(await start()).toEqual([]);
});

test('a hook that keeps failing is tried and reported ever more seldom, and stays due', async () => {
  broken.add('off');
  await backUp();
  let tries = 0;
  let notes = 0;
  for (let i = 0; i < 24 * 60; i++) {
    minutes(1);
    const before = ran.length;
    notes += (await start()).length;
    tries += ran.length - before;
  }
  expect(tries).toBeGreaterThan(20);
  expect(tries).toBeLessThan(40);
  expect(notes).toBe(tries);
  expect(told).toHaveLength(tries);
  broken.clear();
  minutes(61);
  await start();
  expect(await journals()).toEqual([]);
});

test('"recover" tries at once what is resting, and reports what is due', async () => {
  broken.add('off');
  await backUp();
  for (let i = 0; i < 5; i++) await (minutes(120), start());
  minutes(1);
  const before = { jobs: [], hooks: [], elsewhere: 0 };
  expect((await recoverMore(world.access, before, {})).hooks).toEqual([
    expect.objectContaining({ command: 'off', container: 'web', tries: 7 }),
  ]);
  broken.clear();
  minutes(1);
  expect((await recoverMore(world.access, before, {})).hooks).toEqual([]);
  expect(ran.at(-1)).toBe('off good');
});

test('the next backup of the same container replaces a due hook', async () => {
  broken.add('off');
  await backUp();
  broken.clear();
  expect(await backUp()).toEqual([]);
  expect(await journals()).toEqual([]);
});

test('channels report that none is due any more, after a later start or the next backup', async () => {
  const over = 'No hook of a backup is due any more';
  for (const makeUp of [start, backUp]) {
    broken.add('off');
    await backUp();
    minutes(2);
    await start();
    expect(told.splice(0)).toEqual([expect.stringContaining('A hook that is due')]);
    broken.clear();
    minutes(61);
    const other = await openRun();
    if (makeUp === backUp) await other.begin({});
    await makeUp();
    expect(told.splice(0)).toEqual([over]);
    await other.finish({ outcome: 'good' }, {});
    await backUp();
    await start();
    expect(told).toEqual([]);
  }
});

test('a backup on another engine does not replace a due hook', async () => {
  broken.add('off');
  await backUp();
  broken.clear();
  const host = await world.access.host();
  const info = { ...(await host.info()), identity: 'another engine' };
  const identity = world.containers.get('web');
  const other = await openHookRun(
    { ...world.access, host: async () => ({ ...host, info: async () => info }) },
    { hooks: [{ hook: hook('after', 'off'), identity }], volumes: ['data'] },
  );
  await other.begin({});
  await other.finish({ outcome: 'good' }, {});
  minutes(2);
  expect(await start()).toEqual([expect.stringContaining('were run: off')]);
});

test('a hook that fails after each backup is due once, since the first of them', async () => {
  broken.add('off');
  const first = new Date().toISOString();
  for (let i = 0; i < 5; i++) await (minutes(60), backUp());
  const before = ran.length;
  minutes(61);
  expect(await start()).toHaveLength(1);
  expect(ran.slice(before)).toEqual(['off good']);
  minutes(61);
  const { hooks } = await recoverMore(world.access, { jobs: [], hooks: [], elsewhere: 0 }, {});
  expect(hooks).toEqual([expect.objectContaining({ command: 'off', tries: 7 })]);
  expect(Date.parse(hooks[0]?.since ?? '')).toBe(Date.parse(first) + 3_600_000);
});

test('a backup that begins while hooks are tried keeps its own hooks from running in its middle', async () => {
  broken.add('off');
  await backUp();
  const slow = await openHookRun(world.access, {
    hooks: [{ hook: hook('after', 'slow'), identity: world.containers.get('web') }],
    volumes: ['other'],
  });
  broken.add('slow');
  await slow.begin({});
  await slow.finish({ outcome: 'good' }, {});
  broken.clear();
  minutes(5);
  let other: HookRun | undefined;
  const names: string[] = [];
  world.containers.onExec((_name, { command: [word = ''] }) => {
    names.push(word);
    return {};
  });
  world.containers.onCall(async (call) => {
    if (call !== 'exec' || other !== undefined) return;
    other = await openHookRun(world.access, {
      hooks: ['off', 'slow'].map((one) => ({
        hook: hook('after', one),
        identity: world.containers.get('web'),
      })),
      volumes: ['data'],
    });
    await other.begin({});
  });
  await start();
  expect(names).toHaveLength(1);
  await other?.finish({ outcome: 'good' }, {});
  expect(await journals()).toEqual([]);
});

test('a due hook does not run in the middle of another backup that runs it at its end', async () => {
  broken.add('off');
  await backUp();
  broken.clear();
  const other = await openRun();
  await other.begin({});
  minutes(5);
  const before = ran.length;
  await start();
  expect(ran).toHaveLength(before);
  await other.finish({ outcome: 'good' }, {});
  expect(ran.slice(before)).toEqual(['off good']);
  expect(await journals()).toEqual([]);
});

test('a hook whose container is gone is due for a week, then given up and reported', async () => {
  broken.add('off');
  await backUp();
  await world.containers.remove('web');
  minutes(2);
  expect(await start()).toEqual([expect.stringContaining('has no container to run in')]);
  minutes(6 * 24 * 60);
  await start();
  expect(await journals()).not.toEqual([]);
  minutes(2 * 24 * 60);
  expect(await start()).toEqual([expect.stringContaining('is given up')]);
  expect(await journals()).toEqual([]);
});

test('a hook whose service was recreated runs there, and not in a container that its image calls that service', async () => {
  const claim = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web' };
  const service = { stack: 'shop', service: 'web', number: 1, labels: claim };
  world.containers.change('web', service);
  broken.add('off');
  await backUp();
  broken.clear();
  await world.containers.remove('web');
  world.containers.add({ name: 'evil', ...service, imageLabels: claim });
  minutes(2);
  expect(await start()).toEqual([expect.stringContaining('has no container to run in')]);
  expect(ran).toEqual(['on', 'off good']);
  world.containers.add({ name: 'web', ...service });
  minutes(5);
  expect(await start()).toEqual([expect.stringContaining('were run: off')]);
});

test('a journal that cannot be read is reported, and does not block the others', async () => {
  broken.add('off');
  await backUp();
  const damaged = path.join(world.stateDir, 'journal-hooks', `${'0'.repeat(32)}.json`);
  await writeFile(damaged, '{');
  broken.clear();
  minutes(2);
  const notes = (await start()).join('\n');
  expect(notes).toContain('were run: off');
  expect(notes).toContain('is not one that this version can read');
});
