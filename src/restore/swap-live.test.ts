import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someVolume } from '../../test/fixtures/some-volume.ts';
import { type StillWorld, stillWorld } from '../../test/fixtures/still-world.ts';
import { takeLease } from '../leases/lease.ts';
import { AppError } from '../model/errors.ts';
import { holdApps } from '../quiesce/hold-apps.ts';
import { listUndoRecords } from '../volumes/undo-records.ts';
import { dropExpired } from './kept-for-undo.ts';
import { recoverApps } from './recover.ts';
import { type MemberRequest, openReplacement, type Replacement } from './replacement.ts';
import { listJournals, type RestoreJournal, writeJournal } from './restore-journal.ts';
import { settleAll } from './settle.ts';
import { swapLive } from './swap-live.ts';
import { swapIn } from './swap.ts';

let world: StillWorld;
beforeEach(async () => {
  world = await stillWorld();
  for (const name of ['pg', 'files']) {
    const root = rootOf(name);
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'data'), 'old');
    world.volumes.push({ ...blank, name, mountpoint: root });
  }
  const mount = (source: string) => [
    { type: 'volume', source, destination: '/data', readOnly: false } as const,
  ];
  const stack = { stack: 'shop', health: 'healthy' } as const;
  world.containers.add({ ...stack, name: 'db', service: 'db', mounts: mount('pg') });
  const web = { service: 'web', dependsOn: ['db'], mounts: [...mount('pg'), ...mount('files')] };
  world.containers.add({ ...stack, ...web, name: 'web' });
  world.containers.add({ ...stack, name: 'idle', service: 'idle', mounts: mount('pg'), state: 'exited' });
  world.containers.add({ name: 'stranger' });
});
afterEach(() => rmSync(world.stateDir, { recursive: true, force: true }));

const blank = someVolume('', { stack: 'shop' });

function rootOf(name: string): string {
  return join(world.stateDir, 'volumes', name, '_data');
}

const names = ['pg', 'files'];
const places = names.map((name) => ({ kind: 'volume' as const, name }));
const keepUntil = '2999-01-01T00:00:00.000Z';

async function open(): Promise<Replacement> {
  const members = names.map((name): MemberRequest => ({
    kind: 'volume',
    name,
    identity: `of ${name}`,
    root: rootOf(name),
    keepUntil,
  }));
  const { stateDir } = world;
  const about = { action: 'restore', hostIdentity: 'engine', snapshotIds: [] } as const;
  const replacement = await openReplacement({ stateDir, ...about, members });
  for (const path of replacement.newPaths) {
    mkdirSync(path);
    writeFileSync(join(path, 'data'), 'new');
  }
  return replacement;
}

async function swap(signal?: AbortSignal): Promise<unknown> {
  await using replacement = await open();
  const about = { places, reason: 'restore "pg"', healthyWithinMs: 300, ailing: new Set<string>() };
  return await swapLive(world.access, { replacement, ...about }, { signal }).catch((error: unknown) => error);
}

function data(): string[] {
  return names.map((name) => readFileSync(join(rootOf(name), 'data'), 'utf8'));
}

function states(): string[] {
  return ['db', 'web', 'idle', 'stranger'].map((name) => world.containers.get(name).state);
}

const asBefore = ['running', 'running', 'exited', 'running'];

function journals(): string[] {
  return ['journal', 'journal-apps'].flatMap((folder) => {
    try {
      return readdirSync(join(world.stateDir, folder));
    } catch {
      return [];
    }
  });
}

describe('swapLive()', () => {
  test('stops dependants first, swaps when all are stopped, and starts in the reverse order', async () => {
    const seen: string[] = [];
    world.containers.onCall((call, name) => {
      if (call === 'stop' || call === 'start') seen.push(`${call} ${name} on ${data().join(' and ')}`);
    });
    expect(await swap()).toMatchObject({ stopped: ['web', 'db'] });
    expect(seen).toEqual([
      'stop web on old and old',
      'stop db on old and old',
      'start db on new and new',
      'start web on new and new',
    ]);
    expect(data()).toEqual(['new', 'new']);
    expect(states()).toEqual(asBefore);
    expect(journals()).toEqual([]);
    expect((await listUndoRecords(world.stateDir)).map(({ name }) => name).sort()).toEqual(['files', 'pg']);
  });

  test('puts everything back when a container cannot be started on the new data', async () => {
    world.containers.onCall((call, name) => {
      if (call === 'start' && name === 'web' && data().includes('new'))
        throw new AppError('failed', 'Cannot start "web"');
    });
    expect(await swap()).toMatchObject({ message: expect.stringContaining('"web"') as string });
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(asBefore);
    expect(journals()).toEqual([]);
    expect(await listUndoRecords(world.stateDir)).toEqual([]);
  });

  test('puts everything back when a container is unhealthy, or exits, on the new data', async () => {
    for (const bad of [{ health: 'unhealthy' }, { state: 'exited', exitCode: 1 }] as const) {
      world.containers.onCall((call, name) => {
        if (call === 'find' && name === 'db' && data().includes('new')) world.containers.change('db', bad);
      });
      const error = await swap();
      world.containers.onCall(() => undefined);
      expect(error).toMatchObject({ message: expect.stringContaining('"db" did not come up') as string });
      expect(data()).toEqual(['old', 'old']);
      expect(states()).toEqual(asBefore);
      expect(journals()).toEqual([]);
    }
  });

  test('puts everything back through an engine that is away for a while', async () => {
    let isAway = false;
    let answers = 0;
    world.containers.onCall((call, name) => {
      if (call === 'start' && name === 'web' && data().includes('new')) isAway = true;
      if (isAway && answers++ < 5) throw new AppError('unavailable', 'The engine is away');
      isAway = false;
      if (call === 'start' && name === 'web' && data().includes('new'))
        throw new AppError('failed', 'Cannot start "web"');
    });
    expect(await swap()).toBeInstanceOf(AppError);
    expect([data(), states(), journals()]).toEqual([['old', 'old'], asBefore, []]);
  });

  test('leaves everything to the journals when the containers on the new data cannot be stopped', async () => {
    world.containers.onCall((call, name) => {
      if (call === 'start' && name === 'web' && data().includes('new'))
        throw new AppError('failed', 'Cannot start "web"');
      if (call === 'stop' && name === 'db' && data().includes('new'))
        throw new AppError('failed', 'Cannot stop "db"');
    });
    expect(await swap()).toMatchObject({
      message: expect.stringContaining('could not bring back') as string,
    });
    expect(data()).toEqual(['new', 'new']);
    expect(world.containers.get('db').state).toBe('running');
    expect(await listJournals(world.stateDir)).toMatchObject([{ step: 'back' }]);
    // The journals can be settled while this process still runs.
    const error = 'its restore has to be put right first';
    expect((await recoverApps(world.access, { patienceMs: 300 })).jobs).toMatchObject([{ error }]);
    world.containers.onCall(() => undefined);
    await settleAll(world.access, {});
    await recoverApps(world.access, { patienceMs: 300 });
    expect([data(), states(), journals()]).toEqual([['old', 'old'], asBefore, []]);
  });

  test('changes nothing when a container cannot be stopped, or another one is started meanwhile', async () => {
    world.containers.fail('stop', 'db', { times: 1 });
    expect(await swap()).toBeInstanceOf(AppError);
    expect([data(), states(), journals()]).toEqual([['old', 'old'], asBefore, []]);
    world.containers.onCall((call, name) => {
      if (call === 'stop' && name === 'db') world.containers.change('idle', { state: 'running' });
    });
    expect(await swap()).toMatchObject({
      code: 'in-use',
      message: expect.stringContaining('"idle"') as string,
    });
    expect(data()).toEqual(['old', 'old']);
    expect(journals()).toEqual([]);
  });

  test('starts a container that exited by itself before it was to be stopped, whenever that was', async () => {
    // A container that its data makes exit is the usual reason for an undo.
    for (const ends of [2, 3, 5]) {
      let looks = 0;
      world.containers.onCall((call, name) => {
        const isLook = call === 'list' || (call === 'stop' && name === 'db');
        if (isLook && data().includes('old') && ++looks === ends)
          world.containers.change('db', { state: 'exited', exitCode: 3 });
      });
      const report = await swap();
      world.containers.onCall(() => undefined);
      expect(report, `ended at look ${ends}`).toMatchObject({ stopped: ['web', 'db'] });
      expect([data(), states(), journals()], `ended at look ${ends}`).toEqual([['new', 'new'], asBefore, []]);
      for (const name of names) writeFileSync(join(rootOf(name), 'data'), 'old');
    }
  });

  test('leaves a container alone that finished, or was stopped by others, before it was to be stopped', async () => {
    for (const exitCode of [0, 143]) {
      let looks = 0;
      world.containers.onCall((call) => {
        if (call === 'list' && ++looks === 2) world.containers.change('db', { state: 'exited', exitCode });
      });
      expect(await swap(), `${exitCode}`).toMatchObject({ stopped: ['web'] });
      world.containers.onCall(() => undefined);
      expect([data(), states()]).toEqual([
        ['new', 'new'],
        ['exited', 'running', 'exited', 'running'],
      ]);
      world.containers.change('db', { state: 'running' });
      for (const name of names) writeFileSync(join(rootOf(name), 'data'), 'old');
    }
  });

  test('reports the time also when all that ran was removed before it was to be stopped', async () => {
    let looks = 0;
    world.containers.onCall(async (call) => {
      if (call !== 'list' || ++looks !== 2) return;
      for (const name of ['db', 'web']) await world.containers.remove(name);
    });
    expect(await swap()).toEqual({ stopped: [], stillMs: 0 });
    expect([data(), journals()]).toEqual([['new', 'new'], []]);
  });

  test('goes back when a container is started during the swap, also where none ran, and lets it run on', async () => {
    for (const ran of [true, false]) {
      for (const name of ['db', 'web']) world.containers.change(name, { state: ran ? 'running' : 'exited' });
      await using replacement = await open();
      const about = { places, reason: 'restore "pg"', healthyWithinMs: 300, ailing: new Set<string>() };
      const swapped = replacement.swap.bind(replacement);
      replacement.swap = async (levels) => {
        world.containers.change('idle', { state: 'running' });
        await swapped(levels);
      };
      await expect(swapLive(world.access, { replacement, ...about }, {})).rejects.toMatchObject({
        code: 'in-use',
      });
      expect(data()).toEqual(['old', 'old']);
      const was = ran ? 'running' : 'exited';
      expect(states()).toEqual([was, was, 'running', 'running']);
      world.containers.change('idle', { state: 'exited' });
    }
  });

  test('starts a container again that was started meanwhile and had to be stopped to go back', async () => {
    world.containers.onCall((call, name) => {
      if (call !== 'start' || name !== 'web' || !data().includes('new')) return;
      world.containers.change('idle', { state: 'running' });
      throw new AppError('failed', 'Cannot start "web"');
    });
    expect(await swap()).toBeInstanceOf(AppError);
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(['running', 'running', 'running', 'running']);
  });

  test('writes down a container that was started meanwhile before it stops it to go back', async () => {
    const written: number[] = [];
    world.containers.change('idle', { state: 'exited' });
    world.containers.onCall((call, name) => {
      if (call === 'stop' && name === 'idle')
        written.push(journals().filter((file) => file.endsWith('.touched')).length);
      if (call !== 'start' || name !== 'web' || !data().includes('new')) return;
      world.containers.change('idle', { state: 'paused' });
      throw new AppError('failed', 'Cannot start "web"');
    });
    expect(await swap()).toBeInstanceOf(AppError);
    // The journal of what ran, and that of the newcomer.
    expect(written[0]).toBe(2);
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(['running', 'running', 'paused', 'running']);
    expect(journals()).toEqual([]);
  });

  test.each(['another has one of them', 'nothing can be written'])(
    'goes back past what another program started meanwhile also when it cannot be written down: %s',
    async (why) => {
      await using held = new AsyncDisposableStack();
      const { stateDir } = world;
      const host = await world.host();
      const idle = await world.containers.find(world.containers.get('idle').id);
      if (idle === undefined) throw new Error('there is no "idle"');
      const apps = { stateDir, hostIdentity: 'engine', containers: [idle], reason: 'back up', host };
      if (why.startsWith('another')) held.use(await holdApps(apps, {}));
      world.containers.onCall((call, name) => {
        if (call !== 'start' || name !== 'web' || !data().includes('new')) return;
        world.containers.change('idle', { state: 'running' });
        if (why.startsWith('nothing')) {
          renameSync(join(stateDir, 'leases'), join(stateDir, 'leases-away'));
          writeFileSync(join(stateDir, 'leases'), '');
        }
        throw new AppError('failed', 'Cannot start "web"');
      });
      expect(await swap()).toMatchObject({ message: expect.stringContaining('"web"') as string });
      expect(data()).toEqual(['old', 'old']);
      expect(states()).toEqual(['running', 'running', 'running', 'running']);
      expect(journals().filter((file) => file.endsWith('.json'))).toEqual([]);
    },
  );

  test('stops at its signal at any moment and restores everything', async () => {
    for (const at of ['stop web', 'stop db', 'start db', 'start web']) {
      const abort = new AbortController();
      world.containers.onCall((call, name) => {
        if (`${call} ${name}` === at) abort.abort();
      });
      expect(await swap(abort.signal), at).toBeInstanceOf(Error);
      world.containers.onCall(() => undefined);
      expect([data(), states(), journals()], at).toEqual([['old', 'old'], asBefore, []]);
    }
  });

  test('leaves to the next command a container that the engine fails to release after the swap', async () => {
    world.containers.onCall(() => {
      if (data().includes('new') && readdirSync(join(world.stateDir, 'journal')).length === 0)
        throw new AppError('failed', 'The engine has lost its disk');
    });
    expect(await swap()).toMatchObject({ stopped: ['web', 'db'] });
    expect([data(), journals().length > 0]).toEqual([['new', 'new'], true]);
    world.containers.onCall(() => undefined);
    await recoverApps(world.access, { patienceMs: 300 });
    expect([states(), journals()]).toEqual([asBefore, []]);
  });

  test('starts nothing on a mount point that is full of a stage that could not be filled', async () => {
    const left: string[][] = [];
    await using replacement = await open();
    for (const place of replacement.places) Object.assign(place, { isWithinData: true });
    world.containers.onCall((call) => {
      if (call === 'start') left.push(replacement.places.flatMap(({ stage }) => readdirSync(stage.self)));
    });
    const fill = async (): Promise<void> => {
      throw new AppError('full', 'The disk is full');
    };
    const about = { places, reason: 'restore "pg"', healthyWithinMs: 300, ailing: new Set<string>() };
    await expect(swapLive(world.access, { replacement, fill, ...about }, {})).rejects.toThrow('full');
    expect(left).toEqual([[], []]);
    expect([data(), states()]).toEqual([['old', 'old'], asBefore]);
  });

  test('refuses a container that stopping would remove', async () => {
    world.containers.change('web', { removesItself: true });
    expect(await swap()).toMatchObject({
      code: 'in-use',
      message: expect.stringContaining('"web"') as string,
    });
    expect([data(), states(), journals()]).toEqual([['old', 'old'], asBefore, []]);
  });
});

/** After a kill the journals are there, and no process holds them. */
describe('settleAll(), after a kill,', () => {
  const notes: string[] = [];
  const settle = (): Promise<void> => settleAll(world.access, { onNote: (note) => notes.push(note) });

  async function left(change: Partial<RestoreJournal>, swapped: number): Promise<void> {
    notes.length = 0;
    const replacement = await open();
    await replacement.swap(levels());
    const [journal] = await listJournals(world.stateDir);
    await replacement[Symbol.asyncDispose]();
    if (journal === undefined) throw new Error('no journal');
    // As it is read from the disk.
    const members = [];
    for (const [index, member] of journal.members.entries()) {
      mkdirSync(join(member.stage, 'new'), { recursive: true });
      writeFileSync(join(member.stage, 'new/data'), 'new');
      const { prepareSwap } = await import('./swap.ts');
      const { ino } = lstatSync(member.stage);
      const prepared = await prepareSwap({ ...member, stageInode: String(ino) });
      members.push(prepared);
      if (index < swapped) await swapIn(prepared);
    }
    await writeJournal(world.stateDir, { ...journal, members, ...change });
  }

  /** `db` and `web` ran. */
  function levels(): RestoreJournal['levels'] {
    return ['web', 'db'].map((name) => [
      {
        identity: world.containers.get(name),
        how: 'stop' as const,
        was: 'running' as const,
        startedAt: undefined,
        healthy: false,
        replicas: undefined,
      },
    ]);
  }

  function strays(): string[] {
    return names.flatMap((name) => readdirSync(dirname(rootOf(name)))).filter((name) => name !== '_data');
  }

  test('keeps the new data when all of it was swapped, and the old for an undo', async () => {
    await left({ step: 'swapping' }, 2);
    await settle();
    expect(data()).toEqual(['new', 'new']);
    expect(await listUndoRecords(world.stateDir)).toHaveLength(2);
    expect(journals()).toEqual([]);
    expect(notes.join()).toContain('holdfast undo');
  });

  test('goes on with a committed swap when some of the old data is gone already', async () => {
    await left({ step: 'committed' }, 2);
    const [journal] = await listJournals(world.stateDir);
    if (journal === undefined) throw new Error('no journal');
    const [pg, files] = journal.members;
    if (pg === undefined || files === undefined) throw new Error('no members');
    // A mount point's contents are swapped by name, and recognised by the old data, which is gone here.
    rmSync(pg.stage, { recursive: true });
    await writeJournal(world.stateDir, { ...journal, members: [{ ...pg, place: 'inside' }, files] });
    await settle();
    expect(data()).toEqual(['new', 'new']);
    expect(journals()).toEqual([]);
  });

  test('goes back when only some was swapped, and stops and starts what an engine has started since', async () => {
    await left({ step: 'swapping' }, 1);
    expect(data()).toEqual(['new', 'old']);
    await settle();
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(asBefore);
    expect(world.containers.calls.filter((call) => /^(stop|start)/.test(call))).toEqual([
      'stop web',
      'stop db',
      'start db',
      'start web',
    ]);
    expect([journals(), strays()]).toEqual([[], []]);
  });

  test('starts what ran after it had gone back, though it was started and exited on the other data', async () => {
    await left({ step: 'staging' }, 0);
    for (const name of ['db', 'web'])
      world.containers.change(name, { state: 'exited', startedAt: '2026-01-02T00:00:00Z' });
    await settle();
    expect([data(), states(), journals(), strays()]).toEqual([['old', 'old'], asBefore, [], []]);
    expect(notes.join()).toContain('was undone');
  });

  test('remembers what could not be started, and does not block the data meanwhile', async () => {
    await left({ step: 'staging' }, 0);
    for (const name of ['db', 'web']) world.containers.change(name, { state: 'exited' });
    world.containers.onCall((call, name) => {
      if (call === 'start' && name === 'web') throw new AppError('failed', 'Cannot start "web"');
    });
    await settleAll(world.access, { onNote: (note) => notes.push(note) });
    expect(notes.join()).toContain('Cannot bring "web" back');
    expect(states()).toEqual(['running', 'exited', 'exited', 'running']);
    expect(await listJournals(world.stateDir)).toHaveLength(1);
    world.containers.onCall(() => undefined);
    await settle();
    expect([states(), journals(), strays()]).toEqual([asBefore, [], []]);
  });

  test('does not take a swap for undone while the disk is away, and goes on when it is back', async () => {
    await left({ step: 'swapping' }, 1);
    const volumes = join(world.stateDir, 'volumes');
    renameSync(volumes, `${volumes}-away`);
    for (const name of names) mkdirSync(rootOf(name), { recursive: true });
    await settle();
    expect(notes.join()).toContain('is not there');
    expect(notes.join()).not.toContain('was undone');
    expect(await listJournals(world.stateDir)).toHaveLength(1);
    rmSync(volumes, { recursive: true });
    renameSync(`${volumes}-away`, volumes);
    await settle();
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(asBefore);
    expect([journals(), strays()]).toEqual([[], []]);
  });

  test('goes on going back, and starts what exited on the new data', async () => {
    await left({ step: 'back' }, 2);
    world.containers.change('db', { state: 'exited', exitCode: 1 });
    world.containers.change('web', { state: 'exited', exitCode: 1 });
    await settle();
    expect(data()).toEqual(['old', 'old']);
    expect(states()).toEqual(asBefore);
    expect([journals(), strays()]).toEqual([[], []]);
  });

  test('removes the stages, and touches no container', async () => {
    await left({ step: 'staging' }, 0);
    await settle();
    expect(data()).toEqual(['old', 'old']);
    expect(world.containers.calls).toEqual([]);
    expect([journals(), strays()]).toEqual([[], []]);
  });

  test('removes only a volume of the engine for which it was made', async () => {
    await left({ step: 'staging', levels: [], hostIdentity: 'elsewhere' }, 0);
    const [journal] = await listJournals(world.stateDir);
    if (journal === undefined) throw new Error('no journal');
    const members = journal.members.map((member) => ({ ...member, isCreated: true }));
    await writeJournal(world.stateDir, { ...journal, members });
    await settle();
    expect(notes.join()).toContain('another engine');
    expect(await listJournals(world.stateDir)).toHaveLength(1);
  });

  test('leaves alone a restore that is under way, and one of another engine', async () => {
    await left({ step: 'back' }, 1);
    {
      const { stateDir } = world;
      await using _lease = await takeLease({ stateDir, identity: 'of pg', name: 'pg', action: 'restore' });
      await settle();
      expect(data()).toEqual(['new', 'old']);
      expect(notes).toEqual([]);
    }
    const [journal] = await listJournals(world.stateDir);
    if (journal !== undefined) await writeJournal(world.stateDir, { ...journal, hostIdentity: 'elsewhere' });
    await settle();
    expect(data()).toEqual(['new', 'old']);
    expect(notes.join()).toContain('another engine');
  });
});

test('a journal that cannot be read is reported, and the others are settled', async () => {
  const folder = join(world.stateDir, 'journal');
  mkdirSync(folder);
  writeFileSync(join(folder, `restore-${'0'.repeat(16)}.json`), '{"version":1}');
  const told: string[] = [];
  await settleAll(world.access, { onNote: (note) => told.push(note) });
  expect(told).toEqual([expect.stringContaining('is not one that this version can read')]);
  expect(await listJournals(world.stateDir)).toEqual([]);
});

const afterRestart = { boot: 'another', uptimeMs: 0 };

test('dropExpired() keeps what was kept a moment ago though the clock has jumped ahead', async () => {
  await swap();
  await dropExpired({ stateDir: world.stateDir, now: () => Date.parse('3000-01-01') });
  expect(await listUndoRecords(world.stateDir)).toHaveLength(2);
});

test('dropExpired() forgets nothing whose disk may be away', async () => {
  await swap();
  const volumes = join(world.stateDir, 'volumes');
  renameSync(volumes, `${volumes}-away`);
  for (const name of names) mkdirSync(rootOf(name), { recursive: true });
  const { stateDir } = world;
  await dropExpired({ stateDir, now: () => Date.parse('2998-01-01') }, afterRestart);
  await dropExpired({ stateDir, now: () => Date.parse('2999-02-01') }, afterRestart);
  expect(await listUndoRecords(stateDir)).toHaveLength(2);
  rmSync(volumes, { recursive: true });
  renameSync(`${volumes}-away`, volumes);
  await dropExpired({ stateDir, now: () => Date.parse('2999-02-01') }, afterRestart);
  expect(await listUndoRecords(stateDir)).toEqual([]);
  expect(readdirSync(dirname(rootOf('pg')))).toEqual(['_data']);
});

test('dropExpired() deletes only what has expired and what is gone', async () => {
  await swap();
  const undo = async (): Promise<string[]> =>
    (await listUndoRecords(world.stateDir)).map(({ name }) => name).sort();
  await dropExpired(world.access);
  expect(await undo()).toEqual(['files', 'pg']);
  const [one] = (await listUndoRecords(world.stateDir)).filter(({ name }) => name === 'files');
  rmSync(one?.stage ?? '', { recursive: true });
  await dropExpired(world.access);
  expect(await undo()).toEqual(['pg']);
  const { stateDir } = world;
  {
    await using _lease = await takeLease({ stateDir, identity: 'of pg', name: 'pg', action: 'back up' });
    await dropExpired({ stateDir, now: () => Date.parse('3000-01-01') }, afterRestart);
    expect(await undo()).toEqual(['pg']);
  }
  await dropExpired({ stateDir, now: () => Date.parse('3000-01-01') }, afterRestart);
  expect(await undo()).toEqual([]);
  expect(readdirSync(dirname(rootOf('pg')))).toEqual(['_data']);
  expect(data()).toEqual(['new', 'new']);
});
