import { chmod, cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type StillWorld, stillWorld } from '../../../../test/fixtures/still-world.ts';
import type { BackupReport } from '../../../backup/index.ts';
import { recoverApps } from '../../../restore/recover.ts';
import type { Container } from '../../../hosts/containers.ts';
import { applyMove, type MoveMeans, type MoveReport } from './apply-move.ts';

const from = 'f'.repeat(64);
const labels = { 'com.docker.compose.config-hash': 'made' };
const db = {
  name: 'shop-db-1',
  stack: 'shop',
  service: 'db',
  labels,
  mounts: [
    { type: 'volume', source: 'shop_pg', destination: '/var/lib/postgresql', readOnly: false },
    { type: 'volume', source: from, destination: '/var/lib/postgresql/data', readOnly: false },
  ],
} satisfies Partial<Container>;
const fixed: Container['mounts'] = [
  { type: 'volume', source: 'shop_pg', destination: '/var/lib/postgresql/data', readOnly: false },
];
const before = '- pg:/var/lib/postgresql';
const after = '- pg:/var/lib/postgresql/data';

let world: StillWorld;
let file: string;
beforeEach(async () => {
  world = await stillWorld();
  world.containers.add(db);
  const folder = path.join(world.stateDir, 'stack');
  await mkdir(folder);
  file = path.join(folder, 'compose.yaml');
  await writeFile(file, `${before}\n`);
  // Whatever the umask of the one that changes it.
  await chmod(file, 0o666);
});
afterEach(async () => rm(world.stateDir, { recursive: true }));

interface Steps {
  readonly save?: () => void;
  readonly copy?: () => void | Promise<void>;
  readonly up?: () => void | Promise<void>;
}

/** Carries out the move; each step happens when its turn comes. */
async function move({ save, copy, up = replace }: Steps = {}, signal?: AbortSignal): Promise<MoveReport> {
  const means = {
    stateDir: world.stateDir,
    host: world.host,
    volumes: async () => ({
      clone: async () => {
        await copy?.();
        return { problems: [] };
      },
    }),
    backUp: async () => {
      save?.();
      const outcome = { name: from, outcome: 'good', snapshot: { id: 'saved' } };
      return { outcomes: [outcome], skipped: [] } as unknown as BackupReport;
    },
    compose: {
      check: async () => undefined,
      hash: async () => 'made',
      up: async () => await up(),
    },
  } as unknown as MoveMeans;
  const planned = {
    stack: 'shop',
    service: 'db',
    containerId: world.containers.get(db.name).id,
    containerName: db.name,
    from,
    to: 'shop_pg',
    leftover: [],
    edit: { file, line: 1, before, after },
    files: [file],
    envFiles: [],
    directory: path.dirname(file),
  };
  return await applyMove(means, planned, signal);
}

/** As Compose does. */
async function replace(mounts: Container['mounts'] = fixed): Promise<void> {
  await world.containers.remove(db.name);
  world.containers.add({ ...db, mounts });
}

const copied = (): string => path.join(world.stateDir, 'copied');

/** What a kill leaves now: the journal, which nothing holds. */
async function copyState(): Promise<void> {
  const journals = 'journal-apps';
  await cp(path.join(world.stateDir, journals), path.join(copied(), journals), { recursive: true });
}

const state = (): string => world.containers.get(db.name).state;
const line = async (): Promise<string> => (await readFile(file, 'utf8')).trim();

test('stops the container, copies, changes the line and has the container made anew', async () => {
  const seen: string[] = [];
  const report = await move({ copy: () => void seen.push(state()) });
  expect(report).toMatchObject({ snapshotId: 'saved', container: db.name });
  expect([seen, state(), await line()]).toEqual([['exited'], 'running', after]);
  expect((await stat(file)).mode & 0o777).toBe(0o666);
});

test('moves the data of a container in a restart loop', async () => {
  let starts = 0;
  world.containers.change(db.name, { state: 'restarting' });
  world.containers.onCall((call) => {
    const isLooping = call === 'list' && world.containers.get(db.name).state === 'restarting';
    if (isLooping) world.containers.change(db.name, { startedAt: new Date(++starts).toISOString() });
  });
  expect(await move()).toMatchObject({ container: db.name });
});

test('copies nothing of a container that was made anew while its data was saved', async () => {
  const copied: string[] = [];
  const steps = { save: () => void replace(db.mounts), copy: () => void copied.push('') };
  await expect(move(steps)).rejects.toMatchObject({ code: 'conflict' });
  expect([copied, state(), await line()]).toEqual([[], 'running', before]);
});

test.each<[string, () => Promise<void>]>([
  ['was started', () => world.containers.start(db.name)],
  [
    'was started and stopped again',
    async () => {
      await world.containers.start(db.name);
      await world.containers.stop(db.name, {});
    },
  ],
  ['was made anew', () => replace(db.mounts)],
])('changes no file when the container %s while its data was copied', async (_, copy) => {
  await expect(move({ copy })).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('was started or replaced meanwhile') as string,
  });
  expect(await line()).toBe(before);
});

test('says that a change stays in the file when another program has written to it since', async () => {
  const up = async (): Promise<void> => {
    await writeFile(file, `${after}\n# and more\n`);
    throw new Error('no room for it');
  };
  await expect(move({ up })).rejects.toMatchObject({
    code: 'failed',
    hint: expect.stringContaining(`change line 1 of "${file}" back to "${before}"`) as string,
  });
  expect(state()).toBe('running');
});

test('does not take the old container, started again, for the new one', async () => {
  const cancel = new AbortController();
  const up = async (): Promise<void> => {
    await world.containers.start(db.name);
    cancel.abort();
  };
  await expect(move({ up }, cancel.signal)).rejects.toMatchObject({ code: 'partial' });
});

test('says where the data is when the wait for the new container is cancelled', async () => {
  const cancel = new AbortController();
  const up = async (): Promise<void> => {
    await replace();
    world.containers.change(db.name, { health: 'starting' });
    setTimeout(() => cancel.abort(), 50);
  };
  await expect(move({ up }, cancel.signal)).rejects.toMatchObject({
    code: 'partial',
    message: 'The data is in "shop_pg", and "db" is not healthy on it yet',
  });
  expect(await line()).toBe(after);
});

test('a fix that is killed once its line is changed leaves the old container stopped, and says what to do', async () => {
  const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const ended = move({
    async up() {
      await copyState();
      begun.resolve();
      await over.promise;
    },
  });
  await begun.promise;
  const recover = async () => (await recoverApps({ ...world, stateDir: copied() }, { patienceMs: 300 })).jobs;
  expect(await recover()).toMatchObject([
    { apps: [], error: expect.stringContaining('run "docker compose up -d db"') as string },
  ]);
  expect(state()).toBe('exited');
  // As its user is told to.
  await replace();
  expect(await recover()).toMatchObject([{ left: [db.name], error: undefined }]);
  expect(await recover()).toEqual([]);
  over.resolve();
  await ended;
});
