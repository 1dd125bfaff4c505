import { hash, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { idWords } from './blob-print.ts';
import type { BlobTable } from './blob-table.ts';
import { BlobTables } from './blob-tables.ts';

const place = { packIndex: 5, offset: 100, length: 200, uncompressedLength: 300 };

function idOf(number: number): string {
  return hash('sha256', `${number}`);
}

function tinyTable(capacity: number, hasPlaces: boolean): BlobTable {
  const words = new SharedArrayBuffer(capacity * 32);
  return { capacity, hasPlaces, words, taken: new SharedArrayBuffer(4) };
}

test('of several threads that claim the same blobs at once, exactly one gets each', async () => {
  const ids = Array.from({ length: 20_000 }, () => randomBytes(32).toString('hex'));
  const tables = BlobTables.withoutPlaces(ids.length);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const threads = [1, 2, 3, 4].map(
    () =>
      new Worker(new URL('../../../test/fixtures/claim-blobs.ts', import.meta.url), {
        workerData: { tables: tables.shared, ids, gate },
      }),
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
  expect(new Int32Array(tables.shared.tables[0]?.taken ?? new SharedArrayBuffer(4))[0]).toBe(ids.length);
});

describe('tables that grow', () => {
  test.each([
    ['with places', [true]],
    ['without places', [false]],
    ['of both kinds', [true, false]],
  ])('find what any of them holds, and claim nothing twice: %s', (_what, kinds) => {
    const tables = BlobTables.of(kinds.map((hasPlaces) => tinyTable(16, hasPlaces)));
    let grown = 0;
    for (let i = 0; i < 100; i++) {
      if (i % 2) expect(tables.claim(idWords(idOf(i)), 'data')).toBe(true);
      else expect(tables.add(idWords(idOf(i)), 'data', { ...place, offset: i })).toBe(true);
      if (tables.grow()) grown++;
    }
    expect(grown).toBeGreaterThan(0);
    expect(tables.shared.tables.length).toBe(grown + kinds.length);
    const slots = new Set<number>();
    for (let i = 0; i < 100; i++) {
      expect(tables.has(idWords(idOf(i)), 'data')).toBe(true);
      expect(tables.claim(idWords(idOf(i)), 'data')).toBe(false);
      const isKept = i % 2 === 0 && kinds[0] === true;
      expect(tables.get(idWords(idOf(i)), 'data')).toEqual(isKept ? { ...place, offset: i } : undefined);
      slots.add(tables.slotOf(idWords(idOf(i)), 'data'));
    }
    expect(slots.size).toBe(100);
    expect(Math.min(...slots)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...slots)).toBeLessThan(tables.slotCount);
  });

  test('take what is claimed where there are no places, and what has a place where there are', () => {
    const tables = BlobTables.of([tinyTable(16, true), tinyTable(16, false)]);
    for (let i = 0; i < 6; i++) tables.claim(idWords(idOf(i)), 'tree');
    for (let i = 6; i < 9; i++) tables.add(idWords(idOf(i)), 'tree', place);
    for (let i = 9; i < 14; i++) tables.addWithoutPlace(idWords(idOf(i)), 'data');
    const taken = tables.shared.tables.map((table) => new Int32Array(table.taken)[0]);
    expect(taken).toEqual([3, 11]);
    expect(tables.claim(idWords(idOf(8)), 'tree')).toBe(false);
    expect(tables.claim(idWords(idOf(13)), 'data')).toBe(false);
  });

  test('share what they hold with another thread’s view of them', () => {
    const mine = BlobTables.of([tinyTable(16, false)]);
    const other = new BlobTables(mine.shared);
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
    const [first] = BlobTables.withoutPlaces(0).shared.tables;
    // Eight workers with two tasks of a thousand blobs each.
    expect((first?.capacity ?? 0) * 0.25).toBeGreaterThan(8 * 2 * 1000);
  });
});
