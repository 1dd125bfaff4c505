import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlobPrinter, idWords, newPrintKey } from './blob-print.ts';
import { type BlobTable, BlobTableView, createBlobTable } from './blob-table.ts';
import type { BlobType } from '../pack/pack-header.ts';

const place = { packIndex: 5, offset: 100, length: 200, uncompressedLength: 300 };
const printer = new BlobPrinter(newPrintKey());

function printOf(id: string, type: BlobType = 'data'): Int32Array {
  return printer.print(idWords(id), type);
}

function print(number: number, type?: BlobType): Int32Array {
  return printOf(hash('sha256', `${number}`), type);
}

/** A table far smaller than any real one, so that its slots collide and run out. */
function tinyTable(capacity: number, hasPlaces = true): BlobTable {
  const words = new SharedArrayBuffer(capacity * 32);
  return { capacity, hasPlaces, words, taken: new SharedArrayBuffer(4) };
}

test.each([true, false])('only the first caller claims a blob, once for each type (%j)', (hasPlaces) => {
  const view = new BlobTableView(createBlobTable(10, { hasPlaces }));
  expect(view.claim(print(1))).toBe(true);
  expect(view.claim(print(1))).toBe(false);
  expect(view.has(print(1))).toBe(true);
  expect(view.has(print(1, 'tree'))).toBe(false);
  expect(view.claim(print(1, 'tree'))).toBe(true);
  expect(view.taken).toBe(2);
  expect(view.get(print(1))).toBeUndefined();
});

test('a claimed blob has no place yet, a stored one has the first that it got', () => {
  const view = new BlobTableView(createBlobTable(10, { hasPlaces: true }));
  view.claim(print(1));
  expect(view.get(print(1))).toBeUndefined();
  expect(view.add(print(2, 'tree'), place)).toBe(true);
  expect(view.add(print(2, 'tree'), { ...place, packIndex: 6 })).toBe(false);
  expect(view.get(print(2, 'tree'))).toEqual(place);
  expect(view.claim(print(2, 'tree'))).toBe(false);
});

test('a table without places keeps that a blob is stored, and not where', () => {
  const view = new BlobTableView(tinyTable(4, false));
  expect(view.add(print(1), place)).toBe(true);
  expect(view.has(print(1))).toBe(true);
  expect(view.get(print(1))).toBeUndefined();
  expect(view.claim(print(1))).toBe(false);
});

test('places of up to 32 bits and packs of up to 31 are kept exactly', () => {
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const places = fc.record({
    packIndex: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    offset: uint32,
    length: uint32,
    uncompressedLength: uint32,
  });
  fc.assert(
    fc.property(places, fc.constantFrom<BlobType>('data', 'tree'), (any, type) => {
      const view = new BlobTableView(tinyTable(4));
      view.add(print(1, type), any);
      expect(view.get(print(1, type))).toEqual(any);
      expect(view.has(print(1, type === 'data' ? 'tree' : 'data'))).toBe(false);
    }),
  );
  expect(() => new BlobTableView(tinyTable(4)).add(print(1), { ...place, packIndex: 2 ** 31 })).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  );
});

test.each([1, 7, 64])('a table of %i slots can be filled to the last, and then throws', (capacity) => {
  const view = new BlobTableView(tinyTable(capacity));
  const slots = new Set<number>();
  for (let i = 0; i < capacity; i++) expect(view.claim(print(i))).toBe(true);
  for (let i = 0; i < capacity; i++) slots.add(view.slotOf(print(i)));
  expect([...slots].toSorted((a, b) => a - b)).toEqual(Array.from({ length: capacity }, (_, i) => i));
  expect(view.has(print(capacity))).toBe(false);
  expect(view.claim(print(0))).toBe(false);
  expect(() => view.claim(print(capacity))).toThrow(expect.objectContaining({ code: 'failed' }));
});

test('an id that differs in one bit anywhere is another, but for the bits that the state takes', () => {
  const bytes = Buffer.from(hash('sha256', 'x'), 'hex');
  const print = printOf(bytes.toString('hex')).join();
  const alike: number[] = [];
  for (let bit = 0; bit < 256; bit++) {
    const other = Buffer.from(bytes);
    other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (printOf(other.toString('hex')).join() === print) alike.push(bit);
  }
  // A higher bit changes only higher bits of the print: the lowest two of two words are unused.
  for (const bit of alike) expect([0, 1, 128, 129]).toContain(bit);
});

test('prints of ids whose first half is the same are as different as any, and depend on the key', () => {
  const ids = Array.from(
    { length: 10_000 },
    (_, i) => `${'0'.repeat(32)}${hash('sha256', `${i}`).slice(32)}`,
  );
  for (let word = 0; word < 4; word++)
    expect(new Set(ids.map((id) => printOf(id)[word])).size).toBeGreaterThan(9_990);
  const other = new BlobPrinter(newPrintKey());
  const same = ids.filter((id) => other.print(idWords(id), 'data').join() === printOf(id).join());
  expect(same).toEqual([]);
});

test.each([[''], ['ab'], ['x'.repeat(64)], ['a'.repeat(63)]])('%j is no id', (text) => {
  expect(() => idWords(text)).toThrow(expect.objectContaining({ code: 'integrity' }));
});

test('a repository of more blobs than an index can hold is refused', () => {
  expect(() => createBlobTable(1e9, { hasPlaces: false })).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  );
});

test('a table for a million blobs takes 43 bytes for each with their places, and 22 without', () => {
  const bytesFor = (hasPlaces: boolean): number => createBlobTable(1e6, { hasPlaces }).words.byteLength / 1e6;
  expect(bytesFor(true)).toBeLessThan(43);
  expect(bytesFor(false)).toBeLessThan(22);
});
