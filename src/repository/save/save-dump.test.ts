import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  allOf,
  openFreshRepository,
  type TestRepository,
  testVolume,
} from '../../../test/fixtures/open-repository.ts';
import type { StoredDump } from '../types.ts';

let opened: TestRepository;

beforeEach(async () => {
  opened = await openFreshRepository();
  return async () => await opened[Symbol.asyncDispose]();
});

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* emptyTree(): AsyncGenerator<never> {
  const entry = { path: '', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: 0 } as const;
  yield { entry, body: chunksOf(Buffer.alloc(0), 1) } as never;
}

async function saveWith(dumps: readonly StoredDump[]): ReturnType<TestRepository['save']> {
  return await opened.save({ kind: 'entries', entries: emptyTree() }, { dumps });
}

describe('a dump', () => {
  test('of unknown length is stored beside the data, and read back unchanged', async () => {
    const { repository } = opened;
    const large = randomBytes(9_000_001);
    const small = Buffer.from('-- nothing\n');
    const dumps = [
      await repository.storeDump({ name: 'large.sql', body: chunksOf(large, 65_521) }),
      await repository.storeDump({ name: 'a %2F "quoted" é.sql', body: chunksOf(small, 3) }),
    ];
    const { snapshot } = await saveWith(dumps);
    if (!snapshot) throw new Error('There is no snapshot');
    const entries = await repository.listDumps(snapshot);
    expect(entries.map(({ size }) => size)).toEqual([small.length, large.length]);
    const contents = await Promise.all(
      entries.map(async (entry) => Buffer.concat(await allOf(repository.readFile(snapshot, entry)))),
    );
    expect(contents[0]?.equals(small) && contents[1]?.equals(large)).toBe(true);
    expect(snapshot.dumps?.map(({ name }) => name)).toEqual(['large.sql', 'a %2F "quoted" é.sql']);
    expect((await opened.walk(snapshot)).map(({ path }) => path)).toEqual(['']);
    expect((await repository.check({ readDataPercent: 100 })).errors).toEqual([]);
  });

  test('that is made again stores nothing new', async () => {
    const bytes = randomBytes(5_000_000);
    const packs = async (): Promise<number> => (await opened.repository.check({ readDataPercent: 0 })).packs;
    const first = await opened.repository.storeDump({ name: 'x', body: chunksOf(bytes, 100_000) });
    const packsBefore = await packs();
    const second = await opened.repository.storeDump({ name: 'x', body: chunksOf(bytes, 31_337) });
    expect(second).toEqual(first);
    expect(await packs()).toBe(packsBefore);
  });

  test('survives a prune once a snapshot has it', async () => {
    const { repository } = opened;
    const bytes = randomBytes(3_000_000);
    const { snapshot } = await saveWith([
      await repository.storeDump({ name: 'x', body: chunksOf(bytes, 99_999) }),
    ]);
    await repository.prune({ maxUnused: { kind: 'bytes', bytes: 0 }, maxRepackBytes: undefined });
    if (!snapshot) throw new Error('There is no snapshot');
    const [entry] = await repository.listDumps(snapshot);
    if (!entry) throw new Error('There is no dump');
    expect(Buffer.concat(await allOf(repository.readFile(snapshot, entry))).equals(bytes)).toBe(true);
  });

  test('that a prune removed before it was in a snapshot makes no snapshot', async () => {
    const { repository } = opened;
    const dump = await repository.storeDump({ name: 'x', body: chunksOf(randomBytes(3_000_000), 99_999) });
    await repository.prune({ maxUnused: { kind: 'bytes', bytes: 0 }, maxRepackBytes: undefined });
    await expect(saveWith([dump])).rejects.toThrow(/removed by a prune/);
    expect(await repository.listSnapshots()).toEqual([]);
  });

  test('whose stream breaks is not stored', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield randomBytes(3_000_000);
      throw new Error('the server died');
    }
    await expect(opened.repository.storeDump({ name: 'x', body: broken() })).rejects.toThrow(
      'the server died',
    );
  });

  test.each(['', '.', '..', 'a/b', 'a\0b'])('is refused under the name %j', async (name) => {
    await expect(opened.repository.storeDump({ name, body: chunksOf(Buffer.from('x'), 1) })).rejects.toThrow(
      /no file name/,
    );
  });

  test('can be cancelled', async () => {
    const controller = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let i = 0; ; i++) {
        if (i === 3) controller.abort();
        yield randomBytes(1_000_000);
      }
    }
    const { signal } = controller;
    await expect(
      opened.repository.storeDump({ name: 'x', body: endless() }, { signal }),
    ).rejects.toMatchObject({ code: 'cancelled' });
  });
});

test('a dump goes with its snapshot into another repository', async () => {
  const bytes = randomBytes(2_000_000);
  const dump = await opened.repository.storeDump({ name: 'x', body: chunksOf(bytes, 100_000) });
  await saveWith([dump]);
  await using other = await openFreshRepository();
  await opened.repository.copyTo(other.repository);
  const [copied] = await other.repository.listSnapshots();
  if (!copied) throw new Error('There is no snapshot');
  expect(copied.dumps).toEqual([{ name: 'x', size: bytes.length }]);
  const [entry] = await other.repository.listDumps(copied);
  if (!entry) throw new Error('There is no dump');
  const read = Buffer.concat(await allOf(other.repository.readFile(copied, entry)));
  expect(read.equals(bytes)).toBe(true);
});

test('the description of a volume stays beside its dumps', async () => {
  const dump = await opened.repository.storeDump({ name: 'x', body: chunksOf(Buffer.from('x'), 1) });
  const { snapshot } = await saveWith([dump]);
  expect(snapshot?.volume).toEqual(testVolume);
});
