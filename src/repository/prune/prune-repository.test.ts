import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { loadIndexFile, saveIndexFile } from '../blob-index/index-file.ts';
import { lockRepository } from '../lock.ts';
import { openTestCodec, type TestCodec } from '../../../test/fixtures/open-codec.ts';
import { allOf, testVolume } from '../../../test/fixtures/open-repository.ts';
import { ResticRepository } from '../restic-repository.ts';
import { cacheStore } from '../stores/decorators/cache-store.ts';
import { openLocalStore } from '../stores/local.ts';
import type { Store } from '../stores/store.ts';

const everything = { maxUnused: { kind: 'bytes', bytes: 0 }, maxRepackBytes: undefined } as const;

let opened: TestCodec;
let folder: string;
let source: string;

beforeEach(async () => {
  opened = await openTestCodec();
  folder = mkdtempSync(join(tmpdir(), 'prune-'));
  source = join(folder, 'source');
  mkdirSync(source);
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await opened[Symbol.asyncDispose]();
});

function repositoryAt(location: string, wrap: (store: Store) => Store = (store) => store): ResticRepository {
  const { codec, masterKey, config } = opened;
  const store = wrap(openLocalStore(location));
  const address = { kind: 'local', directory: location } as const;
  return new ResticRepository({ codec: { ...codec, store }, address, masterKey, config });
}

async function save(repository: ResticRepository): Promise<Snapshot> {
  const { snapshot } = await repository.save({
    source: { kind: 'directory', root: source },
    volume: testVolume,
    tags: [],
    hostname: 'test-host',
    timeMs: Date.now(),
    grade: 'cold',
    excludePatterns: [],
  });
  if (!snapshot) throw new Error('Nothing was saved');
  return snapshot;
}

/** Three snapshots, of which the first is forgotten again: packs of which all, a part and nothing is used. */
async function makeHistory(repository: ResticRepository): Promise<Snapshot[]> {
  for (let i = 0; i < 30; i++) writeFileSync(join(source, `f${i}`), randomBytes(20_000));
  const first = await save(repository);
  for (let i = 0; i < 30; i += 2) writeFileSync(join(source, `f${i}`), randomBytes(20_000));
  await save(repository);
  for (let i = 0; i < 10; i++) writeFileSync(join(source, `f${i}`), randomBytes(20_000));
  await save(repository);
  await repository.removeSnapshots([first.id]);
  return await repository.listSnapshots();
}

/** The content of the snapshots: every name, and every byte as read back. */
async function contentOf(repository: ResticRepository): Promise<string[]> {
  const lines: string[] = [];
  for (const snapshot of await repository.listSnapshots()) {
    for (const entry of await allOf(repository.walk(snapshot, ''))) {
      const bytes =
        entry.type === 'file' ? Buffer.concat(await allOf(repository.readFile(snapshot, entry))) : '';
      lines.push(
        `${snapshot.id} ${entry.path} ${Buffer.from(bytes).toString('base64').slice(-40)} ${bytes.length}`,
      );
    }
  }
  return lines;
}

function dataFiles(location: string): string[] {
  return readdirSync(join(location, 'data'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /[0-9a-f]{64}$/.test(name),
  );
}

describe('prune()', () => {
  test('removes only what no snapshot needs; a second prune finds nothing to do', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    const before = await contentOf(repository);
    const plan = await repository.planPrune(everything);
    expect(plan.repack.count).toBeGreaterThan(0);
    expect(await repository.prune(everything)).toEqual(plan);
    expect(await contentOf(repository)).toEqual(before);
    expect(await repository.check({ readDataPercent: 100 })).toMatchObject({ errors: [], notes: [] });
    const files = readdirSync(join(opened.location, 'index'));
    expect(await repository.prune(everything)).toMatchObject({ freedBytes: 0, unused: { count: 0 } });
    expect(readdirSync(join(opened.location, 'index'))).toEqual(files);
  });

  test('removes leftovers of killed backups', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    const stray = randomBytes(32).toString('hex');
    await opened.codec.store.save('data', stray, randomBytes(5000));
    expect(await repository.prune(everything)).toMatchObject({ unreferenced: { count: 1, bytes: 5000 } });
    expect(dataFiles(opened.location).some((name) => name.includes(stray))).toBe(false);
  });

  test('makes few index files of many', async () => {
    const repository = repositoryAt(opened.location);
    for (let i = 0; i < 17; i++) {
      writeFileSync(join(source, 'f'), String(i));
      await save(repository);
    }
    const before = await contentOf(repository);
    await repository.prune(everything);
    expect(readdirSync(join(opened.location, 'index'))).toHaveLength(1);
    expect(await contentOf(repository)).toEqual(before);
  });

  test('of an empty repository does nothing', async () => {
    const repository = repositoryAt(opened.location);
    expect(await repository.prune(everything)).toMatchObject({ freedBytes: 0, packs: { count: 0 } });
  });

  test('with every snapshot forgotten removes all data', async () => {
    const repository = repositoryAt(opened.location);
    const snapshots = await makeHistory(repository);
    await repository.removeSnapshots(snapshots.map(({ id }) => id));
    await repository.prune(everything);
    expect(dataFiles(opened.location)).toEqual([]);
    expect(readdirSync(join(opened.location, 'index'))).toEqual([]);
    await save(repository);
    expect(await repository.check({ readDataPercent: 100 })).toMatchObject({ errors: [], snapshots: 1 });
  });

  test('keeps one copy of a blob stored twice, in the better used pack', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    // Like a prune killed after it had copied everything: both copies are in the index.
    const copy = join(folder, 'copy');
    cpSync(opened.location, copy, { recursive: true });
    await repository.prune(everything);
    cpSync(join(copy, 'data'), join(opened.location, 'data'), { recursive: true });
    cpSync(join(copy, 'index'), join(opened.location, 'index'), { recursive: true });
    const plan = await repository.planPrune(everything);
    expect(plan.duplicates.count).toBeGreaterThan(0);
    expect(plan.repack.count, 'nothing is copied again').toBe(0);
    const before = await contentOf(repository);
    await repository.prune(everything);
    expect(await contentOf(repository)).toEqual(before);
    expect(await repository.check({ readDataPercent: 100 })).toMatchObject({ errors: [], notes: [] });
    expect(await repository.planPrune(everything)).toMatchObject({ unused: { count: 0 } });
  });

  test('is refused beside other work in the repository, and keeps others out', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    {
      await using _shared = await lockRepository(opened.codec, { exclusive: false });
      await expect(repository.prune(everything)).rejects.toMatchObject({ code: 'locked' });
      await expect(repository.removeSnapshots([])).rejects.toMatchObject({ code: 'locked' });
      await repository.planPrune(everything);
    }
    const saves: Promise<unknown>[] = [];
    await repository.prune({
      ...everything,
      onProgress: () => saves.push(save(repository).catch((error) => error)),
    });
    expect(saves.length).toBeGreaterThan(0);
    // The last one may have begun after the prune had finished.
    expect(await saves[0]).toMatchObject({ code: 'locked' });
    expect(await repository.check({ readDataPercent: 100 })).toMatchObject({ errors: [] });
  });

  test('stops when its lock is taken away, before anything is removed', async () => {
    const repository = repositoryAt(opened.location, (store) => ({
      ...boundTo(store),
      async list(type, options) {
        // Another process unlocks during the planning.
        if (type === 'snapshots') rmSync(join(opened.location, 'locks'), { recursive: true });
        mkdirSync(join(opened.location, 'locks'), { recursive: true });
        return await store.list(type, options);
      },
    }));
    await makeHistory(repositoryAt(opened.location));
    const before = dataFiles(opened.location);
    await expect(repository.prune(everything)).rejects.toMatchObject({ code: 'locked' });
    expect(dataFiles(opened.location)).toEqual(before);
  });

  test('stops removing at the next few files when its lock is taken away meanwhile', async () => {
    const { codec, location } = opened;
    for (let i = 0; i < 40; i++)
      await codec.store.save('data', randomBytes(32).toString('hex'), randomBytes(100));
    let removed = 0;
    const repository = repositoryAt(location, (store) => ({
      ...boundTo(store),
      async remove(type, name, options) {
        if (type === 'data' && removed++ === 0)
          for (const lock of readdirSync(join(location, 'locks'))) rmSync(join(location, 'locks', lock));
        await store.remove(type, name, options);
      },
    }));
    await expect(repository.prune(everything)).rejects.toMatchObject({ code: 'locked' });
    expect(removed).toBeGreaterThan(0);
    expect(dataFiles(location)).toHaveLength(40 - removed);
    // Those that it was removing at once.
    expect(removed).toBeLessThanOrEqual(16);
  });

  test('ends cleanly when it is cancelled, and leaves everything intact', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    const before = await contentOf(repository);
    const stop = new AbortController();
    const prune = repository.prune({ ...everything, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(prune).rejects.toMatchObject({ code: 'cancelled' });
    expect(await contentOf(repository)).toEqual(before);
    expect(readdirSync(join(opened.location, 'locks'))).toEqual([]);
  });
});

describe('prune() removes nothing', () => {
  const damages: [string, () => Promise<void> | void][] = [
    [
      'a snapshot cannot be read',
      () => {
        const [name = ''] = readdirSync(join(opened.location, 'snapshots'));
        writeFileSync(join(opened.location, 'snapshots', name), 'rubbish');
      },
    ],
    [
      'an index file cannot be read',
      () => {
        const [name = ''] = readdirSync(join(opened.location, 'index'));
        writeFileSync(join(opened.location, 'index', name), 'rubbish');
      },
    ],
    [
      'index files are gone that snapshots need',
      () => {
        for (const name of readdirSync(join(opened.location, 'index')).slice(0, 2))
          rmSync(join(opened.location, 'index', name));
      },
    ],
    [
      'packs have lost their end',
      () => {
        for (const pack of dataFiles(opened.location))
          writeFileSync(join(opened.location, 'data', pack), 'short');
      },
    ],
    [
      'packs are gone that snapshots need',
      () => {
        for (const pack of dataFiles(opened.location)) rmSync(join(opened.location, 'data', pack));
      },
    ],
    [
      'two index files contradict each other about a pack',
      async () => {
        const [name = ''] = readdirSync(join(opened.location, 'index'));
        const [pack] = await loadIndexFile(opened.codec, name);
        await saveIndexFile(opened.codec, [{ id: pack?.id ?? '', blobs: pack?.blobs.slice(1) ?? [] }]);
      },
    ],
  ];

  test.each(damages)('when %s', async (_, damage) => {
    await makeHistory(repositoryAt(opened.location));
    await damage();
    const before = dataFiles(opened.location);
    const prune = repositoryAt(opened.location).prune(everything);
    await expect(prune).rejects.toMatchObject({ code: 'integrity' });
    expect(dataFiles(opened.location)).toEqual(before);
    expect(readdirSync(join(opened.location, 'locks'))).toEqual([]);
  });

  test('when what it has to copy is damaged', async () => {
    const repository = repositoryAt(opened.location);
    await makeHistory(repository);
    for (const pack of dataFiles(opened.location)) {
      const bytes = await opened.codec.store.load('data', pack.slice(3));
      // Beyond the first blobs, in data packs: tree packs are short.
      if (bytes.length > 100_000) bytes.writeUInt8((bytes.readUInt8(70_000) + 1) % 256, 70_000);
      writeFileSync(join(opened.location, 'data', pack), bytes);
    }
    const before = dataFiles(opened.location);
    await expect(repository.prune(everything)).rejects.toMatchObject({ code: 'integrity' });
    for (const pack of before) expect(dataFiles(opened.location)).toContain(pack);
  });
});

test('wherever a prune ends early, everything is there, and the next one finishes it', async () => {
  const base = opened.location;
  await makeHistory(repositoryAt(base));
  const expected = await contentOf(repositoryAt(base));
  let rounds = 0;
  for (let end = 1; ; end++) {
    const location = join(folder, `round-${end}`);
    cpSync(base, location, { recursive: true });
    // Every other time the last step is done, and only its response is lost.
    const failing = repositoryAt(location, (store) => endsAt(store, end, end % 2 === 0));
    const finished = await failing.prune(everything).then(
      () => true,
      (error: unknown) => {
        expect(error, `step ${end}`).toMatchObject({ message: 'The power is cut' });
        return false;
      },
    );
    const repository = repositoryAt(location);
    expect(await repository.check({ readDataPercent: 100 }), `step ${end}`).toMatchObject({ errors: [] });
    expect(await contentOf(repository), `step ${end}`).toEqual(expected);
    await repository.prune(everything);
    expect(await contentOf(repository), `step ${end}`).toEqual(expected);
    const after = await repository.planPrune(everything);
    expect(after, `step ${end}`).toMatchObject({ unused: { count: 0 }, unreferenced: { count: 0 } });
    rmSync(location, { recursive: true });
    if (finished) break;
    rounds++;
  }
  expect(rounds, 'index files and packs were written and removed').toBeGreaterThan(5);
}, 180_000);

/** Fails at a step that changes something, and at each one after it. Locks do not count. */
function endsAt(store: Store, step: number, isDone: boolean): Store {
  let steps = 0;
  const run = async (work: () => Promise<void>): Promise<void> => {
    steps++;
    if (steps < step || (isDone && steps === step)) await work();
    if (steps >= step) throw new AppError('failed', 'The power is cut');
  };
  return {
    ...boundTo(store),
    async save(type, name, content, options) {
      const work = (): Promise<void> => store.save(type, name, content, options);
      await (type === 'locks' ? work() : run(work));
    },
    async remove(type, name, options) {
      const work = (): Promise<void> => store.remove(type, name, options);
      await (type === 'locks' ? work() : run(work));
    },
  };
}

function boundTo(store: Store): Store {
  return {
    location: store.location,
    create: (options) => store.create(options),
    save: (type, name, content, options) => store.save(type, name, content, options),
    load: (type, name, range, options) => store.load(type, name, range, options),
    list: (type, options) => store.list(type, options),
    exists: (type, name, options) => store.exists(type, name, options),
    remove: (type, name, options) => store.remove(type, name, options),
  };
}

test('a new index that the store has altered is noticed behind the cache', async () => {
  const { location } = opened;
  let isLying = false;
  const lying = (store: Store): Store => ({
    location: store.location,
    create: (options) => store.create(options),
    load: (...args) => store.load(...args),
    list: (...args) => store.list(...args),
    exists: (...args) => store.exists(...args),
    remove: (...args) => store.remove(...args),
    async save(type, name, content, options) {
      const kept = isLying && type === 'index' ? content.subarray(0, content.length - 1) : content;
      await store.save(type, name, kept, options);
    },
  });
  const cache = { directory: join(folder, 'cache'), maxBytes: 1 << 30 };
  await using repository = repositoryAt(location, (store) => cacheStore(lying(store), cache));
  await makeHistory(repository);
  const packs = (): string[] =>
    readdirSync(join(location, 'data'), { recursive: true, encoding: 'utf8' }).toSorted();
  const before = packs();
  isLying = true;
  await expect(repository.prune(everything)).rejects.toMatchObject({ code: 'integrity' });
  expect(packs()).toEqual(expect.arrayContaining(before));
});
