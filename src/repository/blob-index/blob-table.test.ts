import { hash, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobType } from '../pack/pack-header.ts';
import { type BlobTable, BlobTableView, createBlobTable, idWords } from './blob-table.ts';
import { BlobTables } from './blob-tables.ts';

const place = { packIndex: 5, offset: 100, length: 200, uncompressedLength: 300 };

function idOf(number: number): string {
  return hash('sha256', `${number}`);
}

/** A table that is far smaller than any that is made, so that its slots collide and run out. */
function tinyTable(capacity: number): BlobTable {
  return { capacity, words: new SharedArrayBuffer(capacity * 48), taken: new SharedArrayBuffer(4) };
}

test('a blob is claimed by the first who asks, once for each type', () => {
  const view = new BlobTableView(createBlobTable(10));
  const id = idOf(1);
  expect(view.claim(idWords(id), 'data')).toBe(true);
  expect(view.claim(idWords(id), 'data')).toBe(false);
  expect(view.has(idWords(id), 'data')).toBe(true);
  expect(view.has(idWords(id), 'tree')).toBe(false);
  expect(view.claim(idWords(id), 'tree')).toBe(true);
  expect(view.taken).toBe(2);
});

test('a claimed blob has no place yet, a stored one has the first that it got', () => {
  const view = new BlobTableView(createBlobTable(10));
  view.claim(idWords(idOf(1)), 'data');
  expect(view.get(idWords(idOf(1)), 'data')).toBeUndefined();
  expect(view.add(idWords(idOf(2)), 'tree', place)).toBe(true);
  expect(view.add(idWords(idOf(2)), 'tree', { ...place, packIndex: 6 })).toBe(false);
  expect(view.get(idWords(idOf(2)), 'tree')).toEqual(place);
  expect(view.claim(idWords(idOf(2)), 'tree')).toBe(false);
});

test('places of up to 32 bits and packs of up to 29 are kept exactly', () => {
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const places = fc.record({
    packIndex: fc.integer({ min: 0, max: 2 ** 29 - 1 }),
    offset: uint32,
    length: uint32,
    uncompressedLength: uint32,
  });
  fc.assert(
    fc.property(places, fc.constantFrom<BlobType>('data', 'tree'), (any, type) => {
      const view = new BlobTableView(tinyTable(4));
      view.add(idWords(idOf(1)), type, any);
      expect(view.get(idWords(idOf(1)), type)).toEqual(any);
      expect(view.has(idWords(idOf(1)), type === 'data' ? 'tree' : 'data')).toBe(false);
    }),
  );
  expect(() =>
    new BlobTableView(tinyTable(4)).add(idWords(idOf(1)), 'data', { ...place, packIndex: 2 ** 29 }),
  ).toThrow(expect.objectContaining({ code: 'unsupported' }));
});

test('ids that begin alike are told apart, and a table that is full says so', () => {
  const view = new BlobTableView(tinyTable(64));
  const ids = Array.from({ length: 64 }, (_, i) => `00000000${i.toString(16).padStart(56, '0')}`);
  for (const id of ids) expect(view.claim(idWords(id), 'data')).toBe(true);
  for (const id of ids) expect(view.has(idWords(id), 'data')).toBe(true);
  expect(view.has(idWords(idOf(1)), 'data')).toBe(false);
  expect(view.claim(idWords(ids[63] ?? ''), 'data')).toBe(false);
  expect(() => view.claim(idWords(idOf(1)), 'data')).toThrow(expect.objectContaining({ code: 'failed' }));
});

test.each([[''], ['ab'], ['x'.repeat(64)], ['a'.repeat(63)]])('%j is no id', (text) => {
  expect(() => idWords(text)).toThrow(expect.objectContaining({ code: 'integrity' }));
});

test('a repository of more blobs than an index can hold is refused', () => {
  expect(() => createBlobTable(1e9)).toThrow(expect.objectContaining({ code: 'unsupported' }));
});

test('of several threads that claim the same blobs at once, exactly one gets each', async () => {
  const ids = Array.from({ length: 20_000 }, () => randomBytes(32).toString('hex'));
  const table = createBlobTable(ids.length);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const threads = [1, 2, 3, 4].map(
    () =>
      new Worker(new URL('./claim-blobs.fixture.ts', import.meta.url), { workerData: { table, ids, gate } }),
  );
  const results = threads.map(
    (thread) =>
      new Promise<string[]>((resolve, reject) => {
        thread.once('message', resolve);
        thread.once('error', reject);
      }),
  );
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('online', resolve))));
  await new Promise((resolve) => setTimeout(resolve, 200));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const won = await Promise.all(results);
  await Promise.all(threads.map((thread) => thread.terminate()));
  expect(won.flat().toSorted()).toEqual(ids.toSorted());
  expect(new BlobTableView(table).taken).toBe(ids.length);
});

describe('tables that grow', () => {
  test('find what any of them holds, and claim nothing twice', () => {
    const tables = new BlobTables([tinyTable(16)]);
    let grown = 0;
    for (let i = 0; i < 100; i++) {
      if (i % 2) expect(tables.claim(idWords(idOf(i)), 'data')).toBe(true);
      else expect(tables.add(idWords(idOf(i)), 'data', { ...place, offset: i })).toBe(true);
      if (tables.grow()) grown++;
    }
    expect(grown).toBeGreaterThan(0);
    expect(tables.tables.length).toBe(grown + 1);
    for (let i = 0; i < 100; i++) {
      expect(tables.has(idWords(idOf(i)), 'data')).toBe(true);
      expect(tables.claim(idWords(idOf(i)), 'data')).toBe(false);
      expect(tables.get(idWords(idOf(i)), 'data')).toEqual(i % 2 ? undefined : { ...place, offset: i });
    }
  });

  test('share what they hold with another thread’s view of them', () => {
    const mine = new BlobTables([tinyTable(16)]);
    const other = new BlobTables(mine.tables);
    for (let i = 0; i < 12; i++) mine.claim(idWords(idOf(i)), 'data');
    const table = mine.grow();
    if (!table) throw new Error('It did not grow');
    expect(other.claim(idWords(idOf(3)), 'data')).toBe(false);
    other.append(table);
    mine.claim(idWords(idOf(50)), 'data');
    expect(other.claim(idWords(idOf(50)), 'data')).toBe(false);
    expect(other.claim(idWords(idOf(51)), 'data')).toBe(true);
    expect(mine.has(idWords(idOf(51)), 'data')).toBe(true);
  });

  test('leave room for all that workers claim before they hear of it', () => {
    const tables = BlobTables.create(0);
    const [first] = tables.tables;
    // Eight workers with two tasks of a thousand blobs each.
    expect((first?.capacity ?? 0) * 0.4).toBeGreaterThan(8 * 2 * 1000);
  });
});
