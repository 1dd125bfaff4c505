import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { loadBlobIndex } from '../blob-index/blob-index.ts';
import { loadIndexFile, saveIndexFile } from '../blob-index/index-file.ts';
import { loadSnapshot } from '../format/snapshot-file.ts';
import { lockRepository } from '../lock.ts';
import { openFreshRepository, type TestRepository } from '../../../test/fixtures/open-repository.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { findNode } from '../read/find-in-snapshot.ts';

let folder: string;
let opened: TestRepository;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'repair-'));
  opened = await openFreshRepository();
  return async () => {
    await opened[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
});

/** Saves a tree of some files, two of them large, as a snapshot. */
async function save(name = 'source'): Promise<string> {
  const root = join(folder, name);
  for (const directory of ['a', 'b', 'b/deep']) mkdirSync(join(root, directory), { recursive: true });
  for (const file of ['a/one', 'a/two', 'b/three', 'b/deep/four', 'five'])
    writeFileSync(join(root, file), `${name} ${file}\n`.repeat(500));
  writeFileSync(join(root, 'large-1'), randomBytes(3_000_000));
  writeFileSync(join(root, 'large-2'), randomBytes(3_000_000));
  const { snapshot } = await opened.save(root);
  return snapshot?.id ?? '';
}

function filesOf(type: 'data' | 'index' | 'snapshots' | 'locks'): string[] {
  return readdirSync(join(opened.location, type), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(opened.location, type, name))
    .sort();
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const errors = async (): Promise<readonly string[]> =>
  (await opened.repository.check({ readDataPercent: 100 })).errors;

const idOf = (path: string): string => path.slice(-64);

test('an intact index is left unchanged, and nothing is written', async () => {
  await save();
  const before = filesOf('index');
  const report = await opened.repository.repairIndex({ readAllPacks: true });
  expect(report).toMatchObject({
    replacedIndexFiles: [],
    addedPacks: [],
    correctedPacks: [],
    missingPacks: [],
  });
  expect(report.packs).toBe(filesOf('data').length);
  expect(filesOf('index')).toEqual(before);
  expect(filesOf('locks')).toEqual([]);
});

test.each(['removed', 'damaged'] as const)('an index that is %s is made anew from the packs', async (how) => {
  await save();
  await save('second');
  for (const path of filesOf('index')) {
    if (how === 'removed') rmSync(path);
    else flip(path, 40);
  }
  expect(await errors()).not.toEqual([]);
  const damaged = how === 'damaged' ? filesOf('index').map(idOf) : [];
  const dry = await opened.repository.repairIndex({ dryRun: true });
  expect(dry.damagedIndexFiles.toSorted()).toEqual(damaged);
  expect(filesOf('index').map(idOf)).toEqual(damaged);
  const report = await opened.repository.repairIndex();
  expect(report.addedPacks.toSorted()).toEqual(filesOf('data').map(idOf).toSorted());
  expect(await errors()).toEqual([]);
  expect((await opened.repository.repairIndex()).replacedIndexFiles).toEqual([]);
});

test('missing packs are dropped, and unindexed ones are added', async () => {
  await save();
  const [first, packsOfFirst] = [filesOf('index'), filesOf('data')];
  await save('second');
  const gone = filesOf('data').find((path) => !packsOfFirst.includes(path)) ?? '';
  for (const path of first) rmSync(path);
  rmSync(gone);
  const report = await opened.repository.repairIndex();
  expect(report.missingPacks).toEqual([idOf(gone)]);
  expect(report.addedPacks.toSorted()).toEqual(packsOfFirst.map(idOf).toSorted());
  const left = await errors();
  expect(left.some((error) => /pack/i.test(error))).toBe(false);
});

test('a pack with an unreadable header keeps its index entry, and is named', async () => {
  await save();
  const [pack = ''] = filesOf('data');
  flip(pack, -10);
  const report = await opened.repository.repairIndex({ readAllPacks: true });
  expect(report.unreadablePacks).toMatchObject([{ packId: idOf(pack), isIndexed: true }]);
  expect(report.replacedIndexFiles).toEqual([]);
  for (const path of filesOf('index')) rmSync(path);
  const without = await opened.repository.repairIndex();
  expect(without.unreadablePacks).toMatchObject([{ packId: idOf(pack), isIndexed: false }]);
  expect(filesOf('data')).toContain(pack);
});

test('the same said twice is said once afterwards', async () => {
  await save();
  const saved = new Map(filesOf('index').map((path) => [path, readFileSync(path)]));
  for (const path of saved.keys()) rmSync(path);
  await opened.repository.repairIndex();
  for (const [path, bytes] of saved) writeFileSync(path, bytes);
  const report = await opened.repository.repairIndex();
  expect(report.replacedIndexFiles).toHaveLength(1);
  expect(filesOf('index')).toHaveLength(1);
  expect(await errors()).toEqual([]);
});

test('intact blobs of damaged packs are saved, and lost ones are named, by blob and then by file', async () => {
  await save();
  const before = filesOf('data').map(idOf);
  for (const path of filesOf('data')) flip(path, 100);
  const dry = await opened.repository.repairPacks({ packs: 'damaged', dryRun: true });
  expect(filesOf('data').map(idOf)).toEqual(before);
  const report = await opened.repository.repairPacks({ packs: 'damaged' });
  expect(report.packs.map(({ packId }) => packId).toSorted()).toEqual(before.toSorted());
  expect(report.lostBlobs).toHaveLength(report.packs.length);
  expect(dry.lostBlobs).toEqual(report.lostBlobs);
  for (const { state, blobs, savedBlobs } of report.packs)
    expect([state, savedBlobs]).toEqual(['damaged', blobs - 1]);
  expect(
    filesOf('data')
      .map(idOf)
      .some((id) => before.includes(id)),
  ).toBe(false);
  expect((await errors()).some((error) => error.startsWith('Pack'))).toBe(false);
});

test('a truncated pack gives its remaining blobs, by the index', async () => {
  await save();
  const path = filesOf('data').toSorted((a, b) => readFileSync(b).length - readFileSync(a).length)[0] ?? '';
  writeFileSync(path, readFileSync(path).subarray(0, -1_000_000));
  await opened.repository.repairIndex();
  const report = await opened.repository.repairPacks({ packs: [idOf(path)] });
  expect(report.packs).toMatchObject([{ state: 'damaged' }]);
  expect(report.packs[0]?.savedBlobs).toBeGreaterThan(0);
  expect(report.lostBlobs.length).toBeGreaterThan(0);
  expect((await opened.repository.repairPacks({ packs: 'damaged' })).packs).toEqual([]);
});

test('an intact pack stays when it is named', async () => {
  await save();
  const before = filesOf('data');
  const ids = before.map((path) => idOf(path).slice(0, 12));
  const report = await opened.repository.repairPacks({ packs: ids });
  expect(report).toMatchObject({ packs: [], lostBlobs: [], unknownPacks: [] });
  expect(report.wholePacks).toEqual(before.map(idOf));
  expect(filesOf('data')).toEqual(before);
  await expect(opened.repository.repairPacks({ packs: [''] })).rejects.toMatchObject({ code: 'usage' });
  await expect(opened.repository.repairPacks({ packs: ['x'] })).rejects.toMatchObject({ code: 'not-found' });
});

test('a snapshot without the lost entries replaces the damaged one, and names it', async () => {
  const id = await save();
  const paths = (await opened.walk((await opened.repository.listSnapshots())[0])).map(({ path }) => path);
  for (const path of filesOf('data')) if (readFileSync(path).length > 1_000_000) flip(path, 100);
  await opened.repository.repairPacks({ packs: 'damaged' });
  const dry = await opened.repository.repairSnapshots({ forget: true, dryRun: true });
  expect(dry.repaired).toMatchObject([{ id, newId: undefined, outcome: 'repaired', forgotten: false }]);
  expect(filesOf('snapshots').map(idOf)).toEqual([id]);
  const report = await opened.repository.repairSnapshots({ forget: false });
  const lost = report.repaired[0]?.lost ?? [];
  expect(lost.length).toBeGreaterThan(0);
  expect(filesOf('snapshots')).toHaveLength(2);

  const again = await opened.repository.repairSnapshots({ forget: true });
  expect(again.repaired[0]?.newId).toBe(report.repaired[0]?.newId);
  expect(filesOf('snapshots').map(idOf)).toEqual([again.repaired[0]?.newId]);
  const [repaired] = await opened.repository.listSnapshots();
  expect(repaired).toMatchObject({ tags: ['repaired'], problemCount: lost.length, volume: { name: 'data' } });
  const left = (await opened.walk(repaired)).map(({ path }) => path);
  const lostPaths = lost.map(({ path }) => path.replace('volume/data/', ''));
  expect(left).toEqual(paths.filter((path) => !lostPaths.includes(path)));
  expect(await errors()).toEqual([]);
  expect((await opened.repository.repairSnapshots({ forget: true })).repaired).toEqual([]);
});

test.each([
  ['first', 0],
  ['second', 1],
])(
  'what a lost pack held is not lost while another holds it too (the %s copy is gone)',
  async (_which, gone) => {
    await save();
    const first = filesOf('data');
    const index = filesOf('index').map((path) => ({ path, bytes: readFileSync(path) }));
    for (const { path } of index) rmSync(path);
    // Nothing is known, so everything is stored again.
    await opened.save(join(folder, 'source'));
    for (const { path, bytes } of index) writeFileSync(path, bytes);
    const copies = [first, filesOf('data').filter((path) => !first.includes(path))];
    expect(copies[1]).not.toEqual([]);
    for (const path of copies[gone] ?? []) rmSync(path);
    await expect(opened.repository.repairSnapshots({ forget: true })).resolves.toMatchObject({
      snapshots: 2,
      repaired: [],
    });
    expect(filesOf('snapshots')).toHaveLength(2);
  },
);

test('nothing is given up while the index does not say all', async () => {
  await save();
  const [index = ''] = filesOf('index');
  const bytes = readFileSync(index);
  flip(index, 40);
  const options = { forget: true };
  await expect(opened.repository.repairSnapshots(options)).rejects.toMatchObject({
    code: 'integrity',
    hint: expect.stringContaining('repair index'),
  });
  await expect(opened.repository.repairPacks({ packs: 'damaged' })).rejects.toMatchObject({
    code: 'integrity',
    hint: expect.stringContaining('repair index'),
  });
  rmSync(index);
  await expect(opened.repository.repairSnapshots(options)).rejects.toMatchObject({
    code: 'integrity',
    hint: expect.stringContaining('repair index'),
  });
  writeFileSync(index, bytes);
  const [pack = ''] = filesOf('data');
  writeFileSync(pack, readFileSync(pack).subarray(0, -10));
  await expect(opened.repository.repairSnapshots(options)).rejects.toMatchObject({
    code: 'integrity',
    hint: expect.stringContaining('repair packs'),
  });
  expect(filesOf('snapshots')).toHaveLength(1);
});

test('two index files that contradict each other are put right by the pack itself', async () => {
  await save();
  const [name = ''] = filesOf('index').map(idOf);
  const packs = await loadIndexFile(opened.codec, name);
  const mixedUp = packs.map(({ id, blobs }) => {
    const ids = blobs.map((blob) => blob.id).toReversed();
    return { id, blobs: blobs.map((blob, i) => ({ ...blob, id: ids[i] ?? '' })) };
  });
  await saveIndexFile(opened.codec, mixedUp);
  const report = await opened.repository.repairIndex();
  const several = packs.filter(({ blobs }) => blobs.length > 1).map(({ id }) => id);
  expect(several.length).toBeGreaterThan(0);
  expect(report.correctedPacks.toSorted()).toEqual(several.toSorted());
  expect(await errors()).toEqual([]);
  expect((await opened.repository.repairIndex({ readAllPacks: true })).replacedIndexFiles).toEqual([]);
});

test('a wrong index file is found when all packs are read', async () => {
  await save();
  const [path = ''] = filesOf('index');
  const packs = await loadIndexFile(opened.codec, idOf(path));
  rmSync(path);
  await saveIndexFile(
    opened.codec,
    packs.map(({ id, blobs }) => ({ id, blobs: blobs.map((blob) => ({ ...blob, id: blobs[0]?.id ?? '' })) })),
  );
  expect((await opened.repository.repairIndex()).correctedPacks).toEqual([]);
  const report = await opened.repository.repairIndex({ readAllPacks: true });
  expect(report.correctedPacks.length).toBeGreaterThan(0);
  expect(await errors()).toEqual([]);
});

test('a pack that the store fails to return is not removed, and its content is not given up', async () => {
  await save();
  const path = filesOf('data').toSorted((a, b) => readFileSync(b).length - readFileSync(a).length)[0] ?? '';
  const bytes = readFileSync(path);
  // Reading a folder fails as reading a bad disk does.
  rmSync(path);
  mkdirSync(path);
  const report = await opened.repository.repairPacks({ packs: 'damaged' });
  expect(report.packs).toMatchObject([{ packId: idOf(path), state: 'unreadable', savedBlobs: 0 }]);
  expect(report.lostBlobs.length).toBeGreaterThan(0);
  expect(filesOf('data')).toContain(path);
  await expect(opened.repository.repairSnapshots({ forget: true })).rejects.toMatchObject({ code: 'failed' });
  expect(filesOf('snapshots')).toHaveLength(1);
  rmSync(path, { recursive: true });
  writeFileSync(path, bytes);
  expect((await opened.repository.repairIndex()).addedPacks).toEqual([idOf(path)]);
  expect(await errors()).toEqual([]);
});

test('no repair begins beside other work, and a dry run only reads', async () => {
  await save();
  await using _lock = await lockRepository(opened.codec, { exclusive: false });
  const { repository } = opened;
  const locked = { code: 'locked' };
  await expect(repository.repairIndex()).rejects.toMatchObject(locked);
  await expect(repository.repairPacks({ packs: 'damaged' })).rejects.toMatchObject(locked);
  await expect(repository.repairSnapshots({ forget: false })).rejects.toMatchObject(locked);
  expect(await repository.repairIndex({ dryRun: true })).toMatchObject({ dryRun: true });
  expect(await repository.repairPacks({ packs: 'damaged', dryRun: true })).toMatchObject({ packs: [] });
  expect(await repository.repairSnapshots({ forget: true, dryRun: true })).toMatchObject({ repaired: [] });
});

test('a directory that lost its list of entries becomes empty, and the rest of its snapshot stays', async () => {
  const id = await save();
  const { tree } = await loadSnapshot(opened.codec, id);
  const index = await loadBlobIndex(opened.codec);
  const reader = new BlobReader(opened.codec, index);
  const data = await findNode(reader, tree, ['volume', 'data', 'b']);
  const place = index.find(data?.subtree ?? '', 'tree');
  const pack = filesOf('data').find((path) => idOf(path) === place?.packId) ?? '';
  flip(pack, (place?.offset ?? 0) + 20);
  await opened.repository.repairPacks({ packs: 'damaged' });
  const { repaired } = await opened.repository.repairSnapshots({ forget: true });
  expect(repaired[0]?.lost).toEqual([{ path: 'volume/data/b', type: 'dir', size: 0 }]);
  const left = (await opened.walk((await opened.repository.listSnapshots())[0])).map(({ path }) => path);
  expect(left).toEqual(['', 'a', 'a/one', 'a/two', 'b', 'five', 'large-1', 'large-2']);
  expect(await errors()).toEqual([]);
});

test('a snapshot whose root is lost is named, and leaves nothing when it is forgotten', async () => {
  const id = await save();
  const { tree } = await loadSnapshot(opened.codec, id);
  const place = (await loadBlobIndex(opened.codec)).find(tree, 'tree');
  const pack = filesOf('data').find((path) => idOf(path) === place?.packId) ?? '';
  flip(pack, (place?.offset ?? 0) + 20);
  await opened.repository.repairPacks({ packs: 'damaged' });
  const { repaired } = await opened.repository.repairSnapshots({ forget: true });
  expect(repaired).toMatchObject([{ id, outcome: 'lost', newId: undefined, forgotten: true }]);
  expect(filesOf('snapshots')).toEqual([]);
});
