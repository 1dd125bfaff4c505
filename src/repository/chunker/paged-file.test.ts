import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chunkBytesOf, headBytes, pagedChunkBytes } from './paged-file.ts';

function chunkBytesOfFile(file: Buffer): number | undefined {
  return chunkBytesOf(file.subarray(0, headBytes), file.length);
}

/** A PostgreSQL segment of valid pages; some are empty, as after an extension of the file. */
function postgresSegment(pages: number): Buffer {
  const file = Buffer.alloc(pages * 8192);
  for (let page = 0; page < pages; page++) {
    if (page % 5 === 3) continue;
    const at = page * 8192;
    file.writeUInt16LE(24 + 4 * page, at + 12);
    file.writeUInt16LE(8192 - 100 * (page % 40), at + 14);
    file.writeUInt16LE(8192, at + 16);
    file.writeUInt16LE(8192 | 4, at + 18);
  }
  return file;
}

function innoDbFile(pageBytes: number, pages: number): Buffer {
  const file = Buffer.alloc(pageBytes * pages, 0x5a);
  for (let page = 0; page < pages; page++) file.writeUInt32BE(page, page * pageBytes + 4);
  file.writeUInt16BE(8, 24);
  return file;
}

test('a real SQLite database is cut into small chunks under any name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'paged-'));
  try {
    const path = join(folder, 'notes');
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE t (a TEXT)');
    database.exec('BEGIN');
    const insert = database.prepare('INSERT INTO t VALUES (?)');
    for (let i = 0; i < 2000; i++) insert.run(`${i} `.repeat(50));
    database.exec('COMMIT');
    database.close();
    expect(chunkBytesOfFile(readFileSync(path))).toBe(pagedChunkBytes);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('segments of PostgreSQL are cut small, empty pages in them included', () => {
  expect(chunkBytesOfFile(postgresSegment(64))).toBe(pagedChunkBytes);
});

test('a file with one page that PostgreSQL would not write is cut by its content', () => {
  const file = postgresSegment(64);
  file.writeUInt16LE(8192 | 5, 2 * 8192 + 18);
  expect(chunkBytesOfFile(file)).toBeUndefined();
});

test('half a page at the end is not PostgreSQL', () => {
  expect(chunkBytesOfFile(Buffer.concat([postgresSegment(64), Buffer.alloc(100)]))).toBeUndefined();
});

test('a file of zeros is cut by its content', () => {
  expect(chunkBytesOfFile(Buffer.alloc(1_048_576))).toBeUndefined();
});

test.each([4096, 8192, 16384, 32768])(
  'InnoDB tablespaces with pages of %i bytes are cut small',
  (pageBytes) => {
    expect(chunkBytesOfFile(innoDbFile(pageBytes, 100))).toBe(pagedChunkBytes);
  },
);

test('LMDB environments are cut small', () => {
  const file = Buffer.alloc(1_048_576);
  file.writeUInt32LE(0xbeefc0de, 16);
  file.writeUInt32LE(1, 20);
  expect(chunkBytesOfFile(file)).toBe(pagedChunkBytes);
});

test('text, media and small files are cut by their content', () => {
  expect(chunkBytesOfFile(Buffer.from('hello world\n'.repeat(100_000)))).toBeUndefined();
  expect(chunkBytesOfFile(postgresSegment(8))).toBeUndefined();
  expect(chunkBytesOf(Buffer.alloc(0), 10_000_000)).toBeUndefined();
});

test('a huge file of pages is cut into at most a million pieces of whole pages', () => {
  const head = postgresSegment(8);
  const gibibyte = 2 ** 30;
  for (const [gibibytes, chunkBytes] of [
    [1, 32 * 1024],
    [32, 32 * 1024],
    [33, 64 * 1024],
    [64, 64 * 1024],
    [1024, 1024 * 1024],
    [8192, 8 * 1024 * 1024],
    [16_000, 8 * 1024 * 1024],
  ] as const)
    expect(chunkBytesOf(head, gibibytes * gibibyte), `${gibibytes} GiB`).toBe(chunkBytes);
});
