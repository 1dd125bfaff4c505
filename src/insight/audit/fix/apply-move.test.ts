import { rmSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type StillWorld, stillWorld } from '../../../../test/fixtures/still-world.ts';
import type { BackupReport } from '../../../backup/index.ts';
import { recoverApps } from '../../../restore/recover.ts';
import { AppError } from '../../../model/errors.ts';
import type { Container, Image } from '../../../hosts/containers.ts';
import { applyMove, type MoveMeans, type MoveReport } from './apply-move.ts';
import type { DataMove } from './plan-moves.ts';

const from = 'f'.repeat(64);
const labels = { 'com.docker.compose.config-hash': 'made' };
const db = {
  name: 'shop-db-1',
  stack: 'shop',
  service: 'db',
  image: 'postgres:15',
  imageId: 'sha256:made',
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
/** What the tag of the image leads to. */
let image: string | undefined;
beforeEach(async () => {
  world = await stillWorld();
  world.containers.add(db);
  image = db.imageId;
  world.containers.findImage = async () =>
    image === undefined ? undefined : ({ id: image } satisfies Partial<Image> as Image);
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
  /** What could not be copied. */
  readonly problems?: readonly { readonly path: string; readonly message: string }[];
  readonly prepare?: () => void;
  readonly up?: () => void | Promise<void>;
  /** The data of a volume, which is not looked at by default. */
  readonly dataOf?: (name: string) => object;
  /** What Compose says of the service, with a file instead of the one there. */
  readonly hash?: (instead: string | undefined) => string;
  readonly plan?: Partial<DataMove>;
}

/** Carries out the move; each step happens when its turn comes. */
async function move(
  {
    save,
    copy,
    problems = [],
    prepare,
    up = replace,
    hash = () => 'made',
    plan = {},
    dataOf = () => ({ way: 'stream', async [Symbol.asyncDispose]() {} }),
  }: Steps = {},
  signal?: AbortSignal,
): Promise<MoveReport> {
  const means = {
    stateDir: world.stateDir,
    host: async () => ({ ...(await world.host()), openData: async (name: string) => dataOf(name) }),
    volumes: async () => ({
      clone: async () => {
        await copy?.();
        return { problems };
      },
    }),
    backUp: async () => {
      save?.();
      const outcome = { name: plan.from ?? from, outcome: 'good', snapshot: { id: 'saved' } };
      return { outcomes: [outcome], skipped: [] } as unknown as BackupReport;
    },
    compose: {
      check: async () => undefined,
      hash: async (_: unknown, instead: { readonly content: string } | undefined) => hash(instead?.content),
      prepareUp() {
        prepare?.();
        return { up: async () => await up(), [Symbol.dispose]() {} };
      },
    },
  } as unknown as MoveMeans;
  const planned = {
    stack: 'shop',
    service: 'db',
    containerId: plan.containerId ?? world.containers.get(db.name).id,
    containerName: db.name,
    from,
    to: 'shop_pg',
    leftover: [],
    edit: { file, line: 1, before, after },
    files: [file],
    envFiles: [],
    directory: path.dirname(file),
    older: undefined,
    image: db.image,
    ...plan,
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

test('changes no file when not all could be copied, and has the container run on as before', async () => {
  const problems = [{ path: 'base/1', message: 'Permission denied' }];
  await expect(move({ problems })).rejects.toMatchObject({
    code: 'partial',
    detail: 'base/1: Permission denied',
  });
  expect([state(), await line()]).toEqual(['running', before]);
});

test('copies nothing while its user has the container paused', async () => {
  world.containers.change(db.name, { state: 'paused' });
  const copied: string[] = [];
  await expect(move({ copy: () => void copied.push('') })).rejects.toMatchObject({
    code: 'in-use',
    message: expect.stringContaining('cannot be stopped') as string,
  });
  expect([copied, state(), await line()]).toEqual([[], 'paused', before]);
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

test.each<[string, () => Steps]>([
  [
    'what Compose says has no file',
    () => ({
      prepare() {
        throw new AppError('full', 'There is no room');
      },
    }),
  ],
  [
    'its Compose file cannot be replaced',
    () => ({ save: () => rmSync(path.dirname(file), { recursive: true }) }),
  ],
])('stops nothing where %s', async (_, steps) => {
  await expect(move(steps())).rejects.toBeDefined();
  expect([state(), world.containers.calls]).toEqual(['running', []]);
});

test.each<[string, string | undefined, RegExp]>([
  ['leads to another image', 'sha256:newer', /"postgres:15" is another image by now/],
  ['is gone', undefined, /"postgres:15" of "db" is not here any more/],
])('touches nothing when the tag of the image %s since the container was made', async (_, id, message) => {
  image = id;
  await expect(move()).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(message) });
  expect([state(), await line(), world.containers.calls]).toEqual(['running', before, []]);
});

test('changes no file when the tag of the image was moved while the data was copied', async () => {
  await expect(move({ copy: () => void (image = 'sha256:newer') })).rejects.toMatchObject({
    code: 'conflict',
    hint: expect.stringContaining('Empty "shop_pg" before') as string,
  });
  expect([state(), await line()]).toEqual(['running', before]);
});

/** The file says it already, and the container is older. */
const saidAlready = (): Partial<DataMove> => ({
  edit: undefined,
  older: { file, line: 1, before: after, after: before },
});

test('asks Compose with the old line whether the container is what a file that says it already was', async () => {
  await writeFile(file, `${after}\n`);
  const asked: (string | undefined)[] = [];
  const hash = (instead: string | undefined): string => {
    asked.push(instead);
    return instead === `${before}\n` ? 'made' : 'other';
  };
  expect(await move({ hash, plan: saidAlready() })).toMatchObject({ container: db.name });
  expect([new Set(asked), await line()]).toEqual([new Set([`${before}\n`]), after]);
});

test('refuses a file that says it already and has changed in more than the mount', async () => {
  await writeFile(file, `${after}\n`);
  const refused = move({ hash: () => 'other', plan: saidAlready() });
  await expect(refused).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('is not what "shop-db-1" was made from') as string,
  });
  expect([state(), world.containers.calls]).toEqual(['running', []]);
});

test('keeps the changed file, and leaves a note, when the engine does not say whether the container was replaced', async () => {
  const up = (): void => {
    world.containers.fail('find', db.name, { error: new AppError('failed', 'It is confused'), times: 1 });
    throw new AppError('failed', 'The engine has gone away');
  };
  await expect(move({ up })).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('Whether Compose has made "db" anew is not known') as string,
    hint: expect.stringContaining('run "docker compose up -d db"') as string,
  });
  // Either of the two could run: the next command touches neither, and says what to do.
  expect([state(), await line()]).toEqual(['exited', after]);
  const recover = async () => (await recoverApps(world, { patienceMs: 300 })).jobs;
  expect(await recover()).toMatchObject([
    { apps: [], error: expect.stringContaining('run "docker compose up -d db"') as string },
  ]);
  await replace();
  expect(await recover()).toMatchObject([{ left: [db.name], error: undefined }]);
});

test('waits for an engine that is started again, and takes the change back once it knows', async () => {
  const up = (): void => {
    world.containers.fail('find', db.name, { error: new AppError('unavailable', 'It restarts'), times: 2 });
    throw new AppError('failed', 'The engine has gone away');
  };
  await expect(move({ up })).rejects.toMatchObject({
    hint: expect.stringMatching(/^It runs on as before/) as string,
  });
  expect([state(), await line()]).toEqual(['running', before]);
});

test('of two fixes at once one moves the data, and the other finds that it is done', async () => {
  let copies = 0;
  const both = await Promise.allSettled([
    move({ copy: () => void copies++ }),
    move({ copy: () => void copies++ }),
  ]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'conflict' } });
  expect([copies, state(), await line()]).toEqual([1, 'running', after]);
});

test('fixes of two services at once change both of their lines, and a failed one takes back its own', async () => {
  await writeFile(file, `${before}\n${before}\n${before}\n`);
  await world.containers.remove(db.name);
  const fix = async (number: number): Promise<MoveReport> => {
    const [source, to, name, service] = [
      `${from}${number}`,
      `pg${number}`,
      `shop-db${number}-1`,
      `db${number}`,
    ];
    const mountOf = (volume: string): Container['mounts'][number] => ({
      ...{ type: 'volume', source: volume, destination: '/var/lib/postgresql/data', readOnly: false },
    });
    const made = { ...db, name, service };
    const { id: containerId } = world.containers.add({ ...made, mounts: [mountOf(source)] });
    const up = async (): Promise<void> => {
      if (number === 2) throw new AppError('failed', 'There is no room for it');
      await world.containers.remove(name);
      world.containers.add({ ...made, mounts: [mountOf(to)] });
    };
    const edit = { file, line: number, before, after };
    return await move({ up, plan: { service, containerId, containerName: name, edit, from: source, to } });
  };
  const ended = await Promise.allSettled([fix(1), fix(2), fix(3)]);
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((await readFile(file, 'utf8')).split('\n')).toEqual([after, before, after, '']);
});
