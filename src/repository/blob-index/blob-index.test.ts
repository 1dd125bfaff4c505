import { hash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type FileCodec, saveJson } from '../format/repository-file.ts';
import { openTestCodec, type TestCodec } from '../../../test/fixtures/open-codec.ts';
import { packSize } from '../pack/pack-header.ts';
import { BlobIndex, loadBlobIndex } from './blob-index.ts';
import { type IndexedPack, loadIndexFile, saveIndexFile } from './index-file.ts';

let opened: TestCodec;
let codec: FileCodec;
beforeAll(async () => {
  opened = await openTestCodec();
  ({ codec } = opened);
});
afterAll(() => opened[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const { name } of await codec.store.list('index')) await codec.store.remove('index', name);
});

function idOf(text: string): string {
  return hash('sha256', text);
}

function packOf(name: string, blobs: number): IndexedPack {
  return {
    id: idOf(name),
    blobs: Array.from({ length: blobs }, (_, i) => ({
      id: idOf(`${name} ${i}`),
      type: i % 3 === 0 ? ('tree' as const) : ('data' as const),
      offset: i * 100,
      length: 100,
      uncompressedLength: i % 2 === 0 ? 0 : 400,
    })),
  };
}

test('an index file is read as it was saved', async () => {
  const packs = [packOf('a', 5), packOf('b', 0), packOf('c', 1)];
  const name = await saveIndexFile(codec, packs);
  expect(await loadIndexFile(codec, name)).toEqual(packs);
});

test('every blob of every index file is found where it lies', async () => {
  const packs = [packOf('a', 200), packOf('b', 300)];
  await saveIndexFile(codec, packs.slice(0, 1));
  await saveIndexFile(codec, packs.slice(1));
  const index = await loadBlobIndex(codec);
  expect(index.blobCount).toBe(500);
  for (const pack of packs) {
    for (const { id, type, ...place } of pack.blobs) {
      expect(index.find(id, type)).toEqual({ packId: pack.id, ...place });
      expect(index.has(id, type)).toBe(true);
      expect(index.has(id, type === 'data' ? 'tree' : 'data')).toBe(false);
    }
  }
  expect(index.find(idOf('nothing'), 'data')).toBeUndefined();
  expect(index.packs).toContainEqual({
    id: idOf('a'),
    sizeBytes: packSize(packs[0]?.blobs ?? []),
    blobCount: 200,
  });
});

test('a pack that two index files name is counted once', async () => {
  await saveIndexFile(codec, [packOf('a', 3)]);
  await saveIndexFile(codec, [packOf('a', 3), packOf('b', 2)]);
  const index = await loadBlobIndex(codec);
  expect(index.packs).toHaveLength(2);
  expect(index.blobCount).toBe(5);
});

test('an index grows with added blobs, and forgets none', () => {
  const index = new BlobIndex(0);
  const packs = Array.from({ length: 50 }, (_, i) => packOf(`p${i}`, 3000));
  for (const pack of packs) index.addPack(pack);
  expect(index.tables.shared.tables.length).toBeGreaterThan(1);
  for (const pack of packs) {
    const blob = pack.blobs[2999];
    expect(index.find(blob?.id ?? '', blob?.type ?? 'data')?.packId).toBe(pack.id);
  }
});

test('without places of data, the index knows that a blob exists, and where trees are', async () => {
  const pack = packOf('a', 200_000);
  await saveIndexFile(codec, [pack]);
  const index = await loadBlobIndex(codec, { placesOf: 'trees' });
  const all = await loadBlobIndex(codec);
  for (const { id, type, ...place } of pack.blobs.slice(0, 1000)) {
    expect(index.has(id, type)).toBe(true);
    expect(index.find(id, type)).toEqual(type === 'tree' ? { packId: pack.id, ...place } : undefined);
  }
  expect(index.blobCount).toBe(200_000);
  expect(index.has(idOf('nothing'), 'data')).toBe(false);
  const bytesOf = (one: BlobIndex): number =>
    one.tables.shared.tables.reduce((sum, { words }) => sum + words.byteLength, 0);
  expect(bytesOf(index)).toBeLessThan(bytesOf(all) * 0.9);
});

test('a damaged index file throws, or is reported to a caller that can do without it', async () => {
  await saveIndexFile(codec, [packOf('a', 3)]);
  const damaged = await saveJson(codec, 'index', { packs: 'none' });
  await expect(loadBlobIndex(codec)).rejects.toMatchObject({ code: 'integrity' });
  const told: string[] = [];
  const index = await loadBlobIndex(codec, { onDamaged: (name) => told.push(name) });
  expect(told).toEqual([damaged]);
  expect(index.blobCount).toBe(3);
});

const blob = { id: idOf('x'), type: 'data', offset: 0, length: 50 };
test.each([
  ['null', null],
  ['a list', []],
  ['packs that are no list', { packs: {} }],
  ['a pack that is null', { packs: [null] }],
  ['a pack without id', { packs: [{ blobs: [] }] }],
  ['a pack with a path for an id', { packs: [{ id: '../../config', blobs: [] }] }],
  ['blobs that are no list', { packs: [{ id: idOf('p'), blobs: 5 }] }],
  ['a blob that is null', { packs: [{ id: idOf('p'), blobs: [null] }] }],
  ['a blob without id', { packs: [{ id: idOf('p'), blobs: [{ ...blob, id: undefined }] }] }],
  ['a blob with a longer id', { packs: [{ id: idOf('p'), blobs: [{ ...blob, id: `${blob.id}00` }] }] }],
  ['a blob of an unknown type', { packs: [{ id: idOf('p'), blobs: [{ ...blob, type: 'virus' }] }] }],
  ['a negative offset', { packs: [{ id: idOf('p'), blobs: [{ ...blob, offset: -1 }] }] }],
  ['a length beyond all packs', { packs: [{ id: idOf('p'), blobs: [{ ...blob, length: 2 ** 32 }] }] }],
  ['half a length', { packs: [{ id: idOf('p'), blobs: [{ ...blob, length: 0.5 }] }] }],
  ['a size in words', { packs: [{ id: idOf('p'), blobs: [{ ...blob, uncompressed_length: 'big' }] }] }],
])('a hostile index file is damaged: %s', async (_what, json) => {
  const name = await saveJson(codec, 'index', json);
  await expect(loadIndexFile(codec, name)).rejects.toMatchObject({ code: 'integrity' });
});
