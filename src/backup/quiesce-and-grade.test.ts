import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Container } from '../hosts/containers.ts';
import type { Volume } from '../model/volume.ts';
import type { ApplicationSession } from '../quiesce/presets/application-session.ts';
import { holdApps } from '../quiesce/hold-apps.ts';
import {
  quiesce,
  type QuiesceEvidence,
  type QuiescePlace,
  type QuiesceRequest,
  type QuiesceSession,
} from '../quiesce/quiesce.ts';
import type { SavedTree } from '../repository/index.ts';
import { type GradedSave, gradeSaved } from './grade.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';

let world: StillWorld;

beforeEach(async () => {
  world = await stillWorld();
  world.volumes.push({ name: 'data', driver: 'local', options: {} } as unknown as Volume);
});
afterEach(async () => rm(world.stateDir, { recursive: true }));

function placeOf(writers: readonly Container[]): QuiescePlace {
  return { target: { kind: 'volume', name: 'data' }, root: undefined, writers, consumers: [] };
}

function graded(
  { plan, maxStillMs }: Pick<QuiesceRequest, 'plan' | 'maxStillMs'>,
  quiesced: QuiesceEvidence,
  shown: Partial<SavedTree> = {},
): GradedSave {
  const [place] = quiesced.places;
  if (place === undefined) throw new Error('There is no place');
  const saved = { error: undefined, problems: [], written: undefined, inFlight: undefined, ...shown };
  return gradeSaved({ plan, maxStillMs, quiesced, place, saved });
}

/** Under a plan that found no writers. */
async function gradeOf(during: () => void, writers: readonly Container[] = []): Promise<string> {
  const request: QuiesceRequest = {
    places: [placeOf(writers)],
    plan: { consistency: 'cold', how: undefined, liveFirst: false, clones: false, note: undefined },
    application: undefined,
    stillness: new Map(),
    maxStillMs: undefined,
    lastPassMs: undefined,
    mayRepeat: false,
    justBefore: async () => undefined,
  };
  await using still = await quiesce(world.access, request, {});
  during();
  return graded(request, await still.release()).grade;
}

function addJob(): void {
  const mounts = [{ type: 'volume', source: 'data', destination: '/data', readOnly: false }] as const;
  world.containers.add({ name: 'job', mounts, startedAt: new Date().toISOString() });
}

test('data that nothing could write to is cold', async () => {
  expect(await gradeOf(() => undefined)).toBe('cold');
});

test('a container started since the plan was made tears it, even if it has exited again', async () => {
  addJob();
  expect(await gradeOf(() => world.containers.change('job', { state: 'exited' }))).toBe('torn');
});

test('so does a container started just after the look, which has exited again', async () => {
  const list = world.containers.list.bind(world.containers);
  let looks = 0;
  world.containers.list = async () => {
    const seen = await list();
    if (looks++ === 0) {
      addJob();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return seen;
  };
  expect(await gradeOf(() => world.containers.change('job', { state: 'exited' }))).toBe('torn');
});

/** For a database with a lock; `events` gets what happens, in order. */
function lockedRequest(events: string[], bound: Partial<QuiesceRequest> = {}): QuiesceRequest {
  const mounts = [{ type: 'volume', source: 'data', destination: '/data', readOnly: false }] as const;
  const db = world.containers.add({ name: 'db', mounts, health: 'healthy' });
  const application = {
    plan: { companions: [], hooks: [] },
    hold: async () => void events.push('locked'),
    during: async () => undefined,
    letGo: async () => void events.push('let go'),
    stillGrade: () => 'crash',
    ranFor: () => [],
  } as unknown as ApplicationSession;
  return {
    places: [placeOf([db])],
    plan: { consistency: 'pause', how: 'pause', liveFirst: true, clones: false, note: undefined },
    application,
    stillness: new Map(),
    maxStillMs: undefined,
    lastPassMs: undefined,
    mayRepeat: false,
    justBefore: async () => undefined,
    ...bound,
  };
}

function begin(request: QuiesceRequest, events: string[]): Promise<QuiesceSession> {
  return quiesce(world.access, request, { onNote: (note) => void events.push(note) });
}

test('a database is locked after all other waits, just before it is paused', async () => {
  const events: string[] = [];
  const prepare = async (): Promise<void> => void events.push('prepare');
  const request = lockedRequest(events, { justBefore: prepare });
  const { identity: hostIdentity } = await (await world.access.host()).info();
  const apps = { stateDir: world.stateDir, hostIdentity, containers: [world.containers.get('db')] };
  const others = await holdApps({ ...apps, reason: 'restore', host: await world.access.host() }, {});
  world.containers.onCall((call) => void (call === 'pause' && events.push('pause')));
  const begun = begin(request, events);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(events).toEqual([]);
  await others[Symbol.asyncDispose]();
  await using still = await begun;
  expect(events).toEqual(['prepare', 'locked', 'pause']);
  await still.release();
});

test('a database that becomes healthy only by writing is unlocked before the wait for its health', async () => {
  const events: string[] = [];
  const request = lockedRequest(events);
  world.containers.onCall((call) => {
    if (call === 'unpause') world.containers.change('db', { health: 'unhealthy' });
    // Its health check writes.
    if (events.includes('let go')) world.containers.change('db', { health: 'healthy' });
  });
  await using still = await begin(request, events);
  expect(world.containers.get('db').state).toBe('paused');
  const beganAt = performance.now();
  await still.release();
  expect(world.containers.get('db')).toMatchObject({ state: 'running', health: 'healthy' });
  expect(performance.now() - beganAt).toBeLessThan(30_000);
});

test('containers run again at their time limit though not all is read, and what is read later tears the snapshot', async () => {
  const events: string[] = [];
  const request = lockedRequest(events, { maxStillMs: 50, mayRepeat: true });
  const beganAtMs = Date.now();
  await using still = await begin(request, events);
  expect(still.cutAtMs()).toBeUndefined();
  while (world.containers.get('db').state === 'paused' || events.at(-1) !== 'let go') await sleep(5);
  expect(still.cutAtMs()).toBeGreaterThanOrEqual(beganAtMs);
  expect(events.find((event) => event.includes('run again'))).toMatch(
    /before all was read: 50 ms were over; .*tried again/,
  );
  const evidence = await still.release();
  expect(world.containers.calls).toEqual(['pause db', 'unpause db']);
  const none = graded(request, evidence, { inFlight: { passes: 1, files: 1, bytes: 1 } });
  expect(none.grade).toBe('crash');
  const late = graded(request, evidence, { inFlight: { passes: 1, files: 1, bytes: 1, late: 2 } });
  expect(late).toMatchObject({
    grade: 'torn',
    reason: expect.stringContaining('before 2 files had been read'),
  });
  expect(graded(request, evidence).evidence).toMatchObject({ maxStillMs: 50 });
});

test('containers are made still again for the next try, and their time limit starts anew', async () => {
  const events: string[] = [];
  const request = lockedRequest(events, { maxStillMs: 50, mayRepeat: true });
  await using first = await begin(request, events);
  while (first.cutAtMs() === undefined) await sleep(5);
  await first.release();
  await using second = await begin(request, events);
  expect(second.cutAtMs()).toBeUndefined();
  expect(world.containers.get('db').state).toBe('paused');
  await second.release();
  await sleep(100);
  expect(second.cutAtMs()).toBeUndefined();
  expect(world.containers.get('db').state).toBe('running');
});

test('a container that its user has paused makes the data one moment, and not cold', async () => {
  addJob();
  world.containers.change('job', { state: 'paused', startedAt: '2020-01-01T00:00:00Z' });
  expect(await gradeOf(() => undefined, await world.containers.list())).toBe('crash');
});

test.each(['stop', 'pause'] as const)(
  'so does one that its user pauses between the look and its %s',
  async (how) => {
    addJob();
    world.containers.change('job', { startedAt: '2020-01-01T00:00:00Z' });
    const request: QuiesceRequest = {
      places: [placeOf(await world.containers.list())],
      plan: { consistency: how, how, liveFirst: true, clones: false, note: undefined },
      application: undefined,
      stillness: new Map(),
      maxStillMs: undefined,
      lastPassMs: undefined,
      mayRepeat: false,
      justBefore: async () => world.containers.change('job', { state: 'paused' }),
    };
    await using still = await quiesce(world.access, request, {});
    expect(graded(request, await still.release())).toMatchObject({
      grade: 'crash',
      reason: '"job" was paused',
    });
    expect(world.containers.calls).toEqual([]);
  },
);
