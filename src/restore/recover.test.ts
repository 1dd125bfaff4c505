import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Notifier } from '../activity/index.ts';
import { AppError } from '../model/errors.ts';
import { writeJournal } from './restore-journal.ts';
import { holdAppJournal, takeLeftJournal, writeAppJournal } from '../quiesce/app-journal.ts';
import { putBackAtOnce } from '../quiesce/put-back-left.ts';
import { planContainers } from '../quiesce/plan-containers.ts';
import { recoverApps, recoverAppsAtStart } from './recover.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';

let world: StillWorld;

beforeEach(async () => void (world = await stillWorld()));
afterEach(async () => rm(world.stateDir, { recursive: true }));

interface LeftJournal {
  touched?: number;
  restoreId?: string;
  names?: string[];
  atMs?: number;
  stopsPaused?: boolean;
  byHand?: string;
}

/** Leaves what a process leaves that is killed after that many levels: its files, without its lock. */
async function leaveJournal(
  how: 'pause' | 'stop',
  { touched = 9, restoreId, names, atMs = Date.now(), stopsPaused = false, byHand }: LeftJournal = {},
): Promise<void> {
  const all = (await world.containers.list()).filter(({ name }) => names?.includes(name) ?? true);
  const { levels } = await planContainers(
    world.containers,
    { all, containers: all, how, stopsPaused },
    undefined,
  );
  const since = new Date(0).toISOString();
  const reason = restoreId === undefined ? 'back up "data"' : 'restore "data"';
  const journal = { hostIdentity: 'engine', reason, restoreId, how, since, levels };
  const opened = await writeAppJournal(await holdAppJournal(world.stateDir), journal);
  for (const [index] of levels.slice(0, touched).entries()) await opened.noteLevel(index, atMs);
  await opened.noteByHand(byHand);
  await opened[Symbol.asyncDispose]();
}

async function recover(patienceMs = 300) {
  return await recoverApps(world.access, { patienceMs });
}

async function filesLeft(): Promise<string[]> {
  return await readdir(path.join(world.stateDir, 'journal-apps'));
}

test('unpauses what was running, and leaves alone what was paused or stopped before', async () => {
  world.containers.add({ name: 'db' });
  world.containers.add({ name: 'frozen', state: 'paused' });
  world.containers.add({ name: 'old', state: 'exited' });
  await leaveJournal('pause');
  await world.containers.pause('db');
  expect((await recover()).jobs).toEqual([
    {
      reason: 'back up "data"',
      since: '1970-01-01T00:00:00.000Z',
      containers: ['db'],
      apps: ['db'],
      left: [],
      error: undefined,
    },
  ]);
  expect(world.containers.get('db').state).toBe('running');
  expect(world.containers.get('frozen').state).toBe('paused');
  expect(world.containers.get('old').state).toBe('exited');
  expect(await filesLeft()).toEqual([]);
  expect((await recover()).jobs).toEqual([]);
});

test('tells what the guardian of a killed job has brought back, when the engine answered it again', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('pause');
  await world.containers.pause('db');
  const [lock = ''] = await filesLeft();
  const host = await world.access.host();
  let isAway = true;
  const info = async () => {
    if (!isAway) return await host.info();
    isAway = false;
    throw new AppError('unavailable', 'The engine is being restarted');
  };
  await putBackAtOnce({ ...host, info }, world.stateDir, lock.replace(/\..*/, ''));
  expect(world.containers.get('db').state).toBe('running');
  await world.containers.pause('db');
  expect((await recover()).jobs).toMatchObject([{ apps: ['db'], left: [], error: undefined }]);
  expect(world.containers.get('db').state).toBe('paused');
  expect(await filesLeft()).toEqual([]);
});

test('leaves alone what the guardian of a killed job has brought back where it could not write that down', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('pause');
  await world.containers.pause('db');
  const [lock = ''] = await filesLeft();
  const name = lock.replace(/\..*/, '');
  // As on a full disk, nothing can be written in its place.
  await mkdir(path.join(world.stateDir, 'journal-apps', `${name}.part`));
  await putBackAtOnce(await world.access.host(), world.stateDir, name);
  await rm(path.join(world.stateDir, 'journal-apps', `${name}.part`), { recursive: true });
  expect(world.containers.get('db').state).toBe('running');
  await world.containers.pause('db');
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: [], error: undefined }]);
  expect(world.containers.get('db').state).toBe('paused');
  expect(await filesLeft()).toEqual([]);
});

test('starts what was stopped, and pauses again what was paused before that', async () => {
  world.containers.add({ name: 'db' });
  world.containers.add({ name: 'frozen', state: 'paused' });
  await leaveJournal('stop', { stopsPaused: true });
  await world.containers.stop('db', {});
  await world.containers.stop('frozen', {});
  await recover();
  expect(world.containers.get('db').state).toBe('running');
  expect(world.containers.get('frozen').state).toBe('paused');
});

test('leaves running what was paused and then stopped, and that a person has started since', async () => {
  world.containers.add({ name: 'frozen', state: 'paused' });
  await leaveJournal('stop', { stopsPaused: true });
  await world.containers.stop('frozen', {});
  await world.containers.start('frozen');
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: ['frozen'], error: undefined }]);
  expect(world.containers.get('frozen').state).toBe('running');
});

test('pauses a container again that could not be paused right after its start', async () => {
  world.containers.add({ name: 'frozen', state: 'paused' });
  await leaveJournal('stop', { stopsPaused: true });
  await world.containers.stop('frozen', {});
  world.containers.fail('pause', 'frozen', { times: 1 });
  await recover();
  expect(world.containers.get('frozen').state).toBe('paused');
});

test('starts a paused container that ended with the machine', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('pause');
  await world.containers.pause('db');
  world.containers.restartEngine();
  expect(world.containers.get('db').state).toBe('exited');
  await recover();
  expect(world.containers.get('db').state).toBe('running');
});

test('does not start what another person has started and stopped since', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  await world.containers.stop('db', {});
  await world.containers.start('db');
  await world.containers.stop('db', {});
  await recover();
  expect(world.containers.get('db').state).toBe('exited');
  expect(await filesLeft()).toEqual([]);
});

test('does not touch what the killed process had not reached', async () => {
  const stack = 'shop';
  world.containers.add({ name: 'db', stack, service: 'db' });
  world.containers.add({ name: 'web', stack, service: 'web', dependsOn: ['db'] });
  await leaveJournal('stop', { touched: 1 });
  await world.containers.stop('web', {});
  await recover();
  expect(world.containers.calls).toEqual(['stop web', 'start web']);
});

test('waits out a stop that the engine may still be working on when its caller is dead', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  await recover();
  expect(world.containers.calls).toEqual(['stop db', 'start db']);
  expect(world.containers.get('db').state).toBe('running');
});

test.each(['created', 'running', 'exited', 'paused'] as const)(
  'does not touch a container that was made anew under the name of another, and says so: %s',
  async (state) => {
    const made = { stack: 'shop', service: 'db', number: 2, name: 'shop-db-2' };
    const { id } = world.containers.add(made);
    await leaveJournal('stop');
    await world.containers.remove(id);
    world.containers.add({ ...made, state });
    const calls = world.containers.calls.length;
    expect((await recover()).jobs).toMatchObject([{ apps: [], left: ['shop-db-2'], error: undefined }]);
    expect(world.containers.get('shop-db-2').state).toBe(state);
    expect(world.containers.calls.slice(calls)).toEqual([]);
  },
);

test('does not start a paused container that a person has stopped since', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('pause');
  await world.containers.pause('db');
  await world.containers.stop('db', {});
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: ['db'], error: undefined }]);
  expect(world.containers.get('db').state).toBe('exited');
});

test('does not start it either when the engine has forgotten that, and another has run all the time', async () => {
  const db = world.containers.add({ name: 'db' });
  await leaveJournal('pause', { names: ['db'] });
  world.containers.change('db', { state: 'exited', exitCode: 137, finishedAt: new Date().toISOString() });
  world.containers.add({ name: 'witness', startedAt: db.startedAt });
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: ['db'] }]);
  expect(world.containers.get('db').state).toBe('exited');
});

test('starts what Holdfast stopped, and not what was stopped long after that', async () => {
  const touchedAtMs = Date.now() - 3_600_000;
  for (const name of ['ours', 'theirs']) world.containers.add({ name, stopTimeoutMs: 30_000 });
  await leaveJournal('stop', { atMs: touchedAtMs });
  for (const [name, afterMs] of [
    ['ours', 45_000],
    ['theirs', 1_800_000],
  ] as const) {
    await world.containers.stop(name, {});
    world.containers.change(name, { finishedAt: new Date(touchedAtMs + afterMs).toISOString() });
  }
  expect((await recover()).jobs).toMatchObject([{ apps: ['ours'], left: ['theirs'] }]);
  expect(world.containers.get('ours').state).toBe('running');
  expect(world.containers.get('theirs').state).toBe('exited');
});

test('starts what it stopped itself to be certain, long after it was to be stopped', async () => {
  world.containers.add({ name: 'db', stopTimeoutMs: 1000 });
  world.containers.add({ name: 'witness' });
  await leaveJournal('stop', { atMs: Date.now() - 300_000, names: ['db'] });
  world.containers.onCall((call) => {
    if (call === 'find' && world.containers.get('db').state === 'exited')
      world.containers.change('db', { finishedAt: new Date().toISOString() });
  });
  await recover();
  expect(world.containers.calls).toEqual(['stop db', 'start db']);
  expect(world.containers.get('db').state).toBe('running');
});

test('starts what a killed recovery had stopped to be certain', async () => {
  const touchedAtMs = Date.now() - 3_600_000;
  world.containers.add({ name: 'db', stopTimeoutMs: 1000 });
  world.containers.add({ name: 'witness' });
  await leaveJournal('stop', { atMs: touchedAtMs, names: ['db'] });
  await world.containers.stop('db', {});
  world.containers.change('db', { finishedAt: new Date(touchedAtMs + 300_000).toISOString() });
  expect((await recover()).jobs).toMatchObject([{ apps: ['db'], left: [] }]);
  expect(world.containers.get('db').state).toBe('running');
});

test.each(['stop', 'pause'] as const)(
  'does not make still for a moment what has run on for an hour: %s',
  async (how) => {
    world.containers.add({ name: 'db' });
    await leaveJournal(how, { atMs: Date.now() - 3_600_000 });
    expect((await recover()).jobs).toMatchObject([{ apps: [], left: [], error: undefined }]);
    expect(world.containers.calls.filter((call) => !call.startsWith('unpause'))).toEqual([]);
    expect(world.containers.get('db').state).toBe('running');
  },
);

test('starts what ended with the machine long after it was to be stopped', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop', { atMs: Date.now() - 3_600_000 });
  world.containers.restartEngine();
  world.containers.change('db', { finishedAt: new Date().toISOString() });
  await recover();
  expect(world.containers.get('db').state).toBe('running');
});

test('is done with a container that its engine failed to remove', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  world.containers.change('db', { state: 'dead' });
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: ['db'], error: undefined }]);
  expect(await filesLeft()).toEqual([]);
});

test('brings a scaled service back to its size', async () => {
  world.containers.addService('web', 2);
  await leaveJournal('stop');
  await world.containers.scaleService('web', 0);
  await recover();
  expect(await world.containers.serviceReplicas('web')).toBe(2);
});

test('leaves a service that has been scaled since', async () => {
  world.containers.addService('web', 2);
  await leaveJournal('stop');
  await world.containers.scaleService('web', 5);
  await recover();
  expect(await world.containers.serviceReplicas('web')).toBe(5);
});

test('is done with a container that is gone for good', async () => {
  const { id } = world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  await world.containers.remove(id);
  expect((await recover()).jobs[0]?.error).toBeUndefined();
  expect(await filesLeft()).toEqual([]);
});

test('keeps the journal for later while the engine does not answer', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  await world.containers.stop('db', {});
  const error = new AppError('unavailable', 'Cannot reach the engine');
  world.containers.fail('start', 'db', { error, times: 50 });
  expect((await recover(200)).jobs[0]?.error).toContain('Cannot bring "db" back');
  world.containers.fail('start', 'db', { error, times: 0 });
  expect((await recover()).jobs[0]?.apps).toEqual(['db']);
});

test('removes what a process left that was killed while it wrote its journal', async () => {
  const folder = path.join(world.stateDir, 'journal-apps');
  await mkdir(folder);
  for (const ending of ['part', 'lock', 'reserve'])
    await writeFile(path.join(folder, `${'a'.repeat(32)}.${ending}`), '{');
  expect((await recover()).jobs).toEqual([]);
  expect(await filesLeft()).toEqual([]);
});

test('reports a journal that cannot be read, and brings back what the others list', async () => {
  world.containers.add({ name: 'db' });
  await leaveJournal('stop');
  await world.containers.stop('db', {});
  const damaged = path.join(world.stateDir, 'journal-apps', `${'a'.repeat(32)}.json`);
  await writeFile(damaged, '{"version":9}');
  const { jobs } = await recover();
  expect(jobs.map(({ apps }) => apps)).toEqual([[], ['db']]);
  expect(jobs[0]?.error).toContain('is not one that this version can read');
  expect(await filesLeft()).toContain(path.basename(damaged));
});

test('leaves an app stopped whose data may be half restored, says why, and brings back the others', async () => {
  const [damaged, settled] = ['a'.repeat(16), 'b'.repeat(16)];
  const journal = path.join(world.stateDir, 'journal', `restore-${damaged}.json`);
  await mkdir(path.dirname(journal));
  await writeFile(journal, '{"version":9}');
  for (const [name, restoreId] of Object.entries({ half: damaged, whole: settled })) {
    world.containers.add({ name });
    await leaveJournal('stop', { restoreId, names: [name] });
    await world.containers.stop(name, {});
  }
  const { jobs } = await recover();
  expect(jobs.find(({ error }) => error !== undefined)?.error).toContain(journal);
  expect(world.containers.get('half').state).toBe('exited');
  expect(world.containers.get('whole').state).toBe('running');
  await rm(journal);
  expect((await recover()).jobs).toMatchObject([{ apps: ['half'], error: undefined }]);
  expect(world.containers.get('half').state).toBe('running');
});

test('starts an app with whole data whose restore is only left to be cleaned up', async () => {
  const about = {
    action: 'restore',
    hostIdentity: 'engine',
    snapshotIds: [],
    members: [],
    levels: [],
  } as const;
  const [half, whole] = ['a'.repeat(16), 'b'.repeat(16)];
  await writeJournal(world.stateDir, { ...about, id: half, step: 'swapping' });
  await writeJournal(world.stateDir, { ...about, id: whole, step: 'committed' });
  for (const [name, restoreId] of Object.entries({ half, whole })) {
    world.containers.add({ name });
    await leaveJournal('stop', { restoreId, names: [name] });
    await world.containers.stop(name, {});
  }
  await recover();
  expect(world.containers.get('half').state).toBe('exited');
  expect(world.containers.get('whole').state).toBe('running');
});

test('starts a container that depends on another when that one is healthy again', async () => {
  const stack = 'shop';
  world.containers.add({ name: 'db', stack, service: 'db', health: 'healthy' });
  world.containers.add({ name: 'web', stack, service: 'web', dependsOn: ['db'] });
  await leaveJournal('stop');
  await world.containers.stop('web', {});
  await world.containers.stop('db', {});
  let looks = 0;
  const healthAtStart: string[] = [];
  world.containers.onCall((call, name) => {
    if (call === 'start' && name === 'web') healthAtStart.push(world.containers.get('db').health);
    if (call !== 'find' || name !== 'db' || world.containers.get('db').state !== 'running') return;
    world.containers.change('db', { health: ++looks < 3 ? 'starting' : 'healthy' });
  });
  await recover(5_000);
  expect(looks).toBeGreaterThanOrEqual(3);
  expect(healthAtStart).toEqual(['healthy']);
  expect(world.containers.get('web').state).toBe('running');
});

test('leaves the journal of a living process alone', async () => {
  world.containers.add({ name: 'db' });
  const levels: never[][] = [];
  const journal = { hostIdentity: 'engine', reason: 'x', how: 'stop', since: '', levels } as const;
  const living = await writeAppJournal(await holdAppJournal(world.stateDir), journal);
  expect((await recover()).jobs).toEqual([]);
  expect(await filesLeft()).not.toEqual([]);
  await living.remove();
  expect(await filesLeft()).toEqual([]);
});

test('leaves the journal of another engine alone, and says so', async () => {
  world.containers.add({ name: 'db' });
  const journal = { hostIdentity: 'other', reason: 'x', how: 'stop', since: '', levels: [] } as const;
  await (await writeAppJournal(await holdAppJournal(world.stateDir), journal))[Symbol.asyncDispose]();
  expect(await recover()).toEqual({ jobs: [], elsewhere: 1 });
  expect(await filesLeft()).not.toEqual([]);
});

test(
  'names the job that another process is bringing back, and reports no failure of it',
  {
    timeout: 30_000,
  },
  async () => {
    world.containers.add({ name: 'db' });
    await leaveJournal('stop');
    await world.containers.stop('db', {});
    const [name = ''] = (await filesLeft()).map((file) => path.parse(file).name);
    const guardian = await takeLeftJournal(world.stateDir, name, { patienceMs: 0 });
    const told: unknown[] = [];
    const notes: string[] = [];
    const notifier = { tell: (happenings: readonly unknown[]) => void told.push(...happenings) };
    const means = { ...world.access, notifier: async () => notifier as Notifier };
    const { jobs } = await recoverAppsAtStart(means, { onNote: (note) => notes.push(note) });
    expect(jobs).toMatchObject([{ reason: 'back up "data"', containers: ['db'], apps: [] }]);
    expect(notes).toEqual([
      expect.stringMatching(/to back up "data" was interrupted .*: another process is bringing back/),
    ]);
    expect(told).toEqual([]);
    expect(world.containers.get('db').state).toBe('exited');
    await guardian?.[Symbol.asyncDispose]();
    expect((await recover()).jobs).toMatchObject([{ apps: ['db'] }]);
  },
);

test('what is to be done by hand is told until what Compose was making in the place of a container runs', async () => {
  const { containers } = world;
  const byHand = 'run "docker compose up -d app"';
  const app = { stack: 'shop', service: 'app' };
  const { id } = containers.add({ name: 'shop-app-1', ...app });
  await leaveJournal('stop', { byHand });
  await containers.stop(id, {});
  expect((await recover()).jobs).toMatchObject([{ apps: [], error: byHand }]);
  // A Compose that is killed here has removed the old one, and not started the new one.
  await containers.remove(id);
  containers.add({ name: 'f00_shop-app-1', state: 'created', ...app });
  expect((await recover()).jobs).toMatchObject([{ apps: [], error: byHand }]);
  containers.change('f00_shop-app-1', { state: 'running' });
  expect((await recover()).jobs).toMatchObject([{ left: ['shop-app-1'], error: undefined }]);
  expect(await filesLeft()).toEqual([]);
});

test('a container that is gone with nothing in its place is told of until its user asks', async () => {
  const { id } = world.containers.add({ name: 'shop-app-1', stack: 'shop', service: 'app' });
  await leaveJournal('stop', { byHand: 'run "docker compose up -d app"' });
  // Taken down, or pruned while it was stopped.
  await world.containers.remove(id);
  const error = expect.stringMatching(/^it was removed since.*run "docker compose up -d app"/) as string;
  for (let start = 0; start < 2; start++)
    expect((await recoverApps(world.access, { isAtStart: true })).jobs).toMatchObject([{ apps: [], error }]);
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: [], error }]);
  expect(await filesLeft()).toEqual([]);
});

test('a container that was started again as it was is told of until its user asks, and not told to be made anew', async () => {
  const { id } = world.containers.add({ name: 'shop-app-1', stack: 'shop', service: 'app' });
  await leaveJournal('stop', { byHand: 'run "docker compose up -d app"' });
  await world.containers.stop(id, {});
  // By its user, or by the engine with the machine.
  await world.containers.start(id);
  const error = expect.stringMatching(/^it was started again since(?!.*up -d).*"holdfast audit"/) as string;
  for (let start = 0; start < 2; start++)
    expect((await recoverApps(world.access, { isAtStart: true })).jobs).toMatchObject([{ apps: [], error }]);
  expect((await recover()).jobs).toMatchObject([{ apps: [], left: [], error }]);
  expect(world.containers.get('shop-app-1').state).toBe('running');
  expect(await filesLeft()).toEqual([]);
});
