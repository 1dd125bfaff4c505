import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Container } from '../hosts/containers.ts';
import type { Volume } from '../model/volume.ts';
import type { Application } from '../quiesce/presets/application.ts';
import { holdApps } from '../quiesce/hold-apps.ts';
import { type Member, Moment } from './moment.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';

let world: StillWorld;

beforeEach(async () => {
  world = await stillWorld();
  world.volumes.push({ name: 'data', driver: 'local', options: {} } as unknown as Volume);
});
afterEach(async () => rm(world.stateDir, { recursive: true }));

/** Nobody wrote to it when the plan was made. */
async function gradeOf(during: () => void, writers: readonly Container[] = []): Promise<string> {
  const member = {
    target: { kind: 'volume', name: 'data' },
    source: { tree: { kind: 'stream' } },
    writers,
  } as unknown as Member;
  const plan = {
    consistency: 'cold',
    how: undefined,
    liveFirst: false,
    clones: false,
    note: undefined,
  } as const;
  const parts = { members: [member], plan, application: undefined, stillness: new Map() };
  await using moment = new Moment(world.parts, parts, {});
  await moment.begin(async () => undefined, undefined);
  during();
  await moment.end();
  return (await moment.decideGrade(member)).grade;
}

function addJob(): void {
  const mounts = [{ type: 'volume', source: 'data', destination: '/data', readOnly: false }] as const;
  world.containers.add({ name: 'job', mounts, startedAt: new Date().toISOString() });
}

test('data to which nobody could write is cold', async () => {
  expect(await gradeOf(() => undefined)).toBe('cold');
});

test('a container that was started since the plan was made has torn it, though it has ended again', async () => {
  addJob();
  expect(await gradeOf(() => world.containers.change('job', { state: 'exited' }))).toBe('torn');
});

test('so has one that was started just after it was looked, and has ended again', async () => {
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

/** A database whose lock is only looked at: what happens is told in order. */
function lockedMoment(events: string[], bound: { maxStillMs?: number; tries?: number } = {}): Moment {
  const mounts = [{ type: 'volume', source: 'data', destination: '/data', readOnly: false }] as const;
  const db = world.containers.add({ name: 'db', mounts, health: 'healthy' });
  const member = {
    target: { kind: 'volume', name: 'data' },
    source: { tree: { kind: 'stream' } },
    writers: [db],
  } as unknown as Member;
  const application = {
    plan: { companions: [], hooks: [] },
    hold: async () => void events.push('locked'),
    during: async () => undefined,
    letGo: async () => void events.push('let go'),
    stillGrade: () => 'crash',
    ranFor: () => [],
  } as unknown as Application;
  const plan = {
    consistency: 'pause',
    how: 'pause',
    liveFirst: true,
    clones: false,
    note: undefined,
  } as const;
  const parts = { members: [member], plan, application, stillness: new Map(), ...bound };
  return new Moment(world.parts, parts, { onNote: (note) => void events.push(note) });
}

test('a database is locked when nothing is waited for any more, just before it is paused', async () => {
  const events: string[] = [];
  await using moment = lockedMoment(events);
  const { identity: hostIdentity } = await (await world.parts.host()).info();
  const apps = { stateDir: world.stateDir, hostIdentity, containers: [world.containers.get('db')] };
  const others = await holdApps({ ...apps, reason: 'restore', host: await world.parts.host() }, {});
  world.containers.onCall((call) => void (call === 'pause' && events.push('pause')));
  const prepare = async (): Promise<void> => void events.push('prepare');
  const begun = moment.begin(prepare, undefined);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(events).toEqual([]);
  await others[Symbol.asyncDispose]();
  await begun;
  expect(events).toEqual(['prepare', 'locked', 'pause']);
  await moment.end();
});

test('a database that becomes healthy by writing only is let go before its health is waited for', async () => {
  const events: string[] = [];
  await using moment = lockedMoment(events);
  world.containers.onCall((call) => {
    if (call === 'unpause') world.containers.change('db', { health: 'unhealthy' });
    // Its probe writes.
    if (events.includes('let go')) world.containers.change('db', { health: 'healthy' });
  });
  await moment.begin(async () => undefined, undefined);
  expect(world.containers.get('db').state).toBe('paused');
  const beganAt = performance.now();
  await moment.end();
  expect(world.containers.get('db')).toMatchObject({ state: 'running', health: 'healthy' });
  expect(performance.now() - beganAt).toBeLessThan(30_000);
});

test('containers run again when their time is over, though not all is read, and what came later tears the snapshot', async () => {
  const events: string[] = [];
  await using moment = lockedMoment(events, { maxStillMs: 50, tries: 2 });
  const beganAtMs = Date.now();
  await moment.begin(async () => undefined, undefined);
  expect(moment.cutAtMs()).toBeUndefined();
  while (world.containers.get('db').state === 'paused' || events.at(-1) !== 'let go') await sleep(5);
  expect(moment.cutAtMs()).toBeGreaterThanOrEqual(beganAtMs);
  expect(events.find((event) => event.includes('run again'))).toMatch(
    /before all was read: 50 ms were over; .*tried again/,
  );
  await moment.end();
  expect(world.containers.calls).toEqual(['pause db', 'unpause db']);
  const [member] = moment.members;
  if (member === undefined) throw new Error('There is no member');
  const none = await moment.decideGrade(member, {
    problems: [],
    inFlight: { passes: 1, files: 1, bytes: 1 },
  });
  expect(none.grade).toBe('crash');
  const graded = await moment.decideGrade(member, {
    problems: [],
    inFlight: { passes: 1, files: 1, bytes: 1, late: 2 },
  });
  expect(graded).toMatchObject({
    grade: 'torn',
    reason: expect.stringContaining('before 2 files had been read'),
  });
  expect(moment.evidenceOf(member, undefined)).toMatchObject({ maxStillMs: 50 });
});

test('containers are made still once more for the next try, and their time starts anew', async () => {
  const events: string[] = [];
  await using moment = lockedMoment(events, { maxStillMs: 50, tries: 2 });
  await moment.begin(async () => undefined, undefined);
  while (moment.cutAtMs() === undefined) await sleep(5);
  await moment.end();
  await moment.begin(async () => undefined, undefined);
  expect(moment.cutAtMs()).toBeUndefined();
  expect(world.containers.get('db').state).toBe('paused');
  await moment.end();
  await sleep(100);
  expect(moment.cutAtMs()).toBeUndefined();
  expect(world.containers.get('db').state).toBe('running');
});

test('a container that its user has paused leaves it at one moment, and not cold', async () => {
  addJob();
  world.containers.change('job', { state: 'paused', startedAt: '2020-01-01T00:00:00Z' });
  expect(await gradeOf(() => undefined, await world.containers.list())).toBe('crash');
});
