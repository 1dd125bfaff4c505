import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromText } from '../../model/byte-string.ts';
import { comparePaths } from '../../lib/compare-paths.ts';
import { type LedgerLine, TreeLedger } from './tree-ledger.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (path: string, more: Partial<LedgerLine> = {}): LedgerLine => ({
  ...{ path, isDirectory: false, isLink: false, inode: 2n ** 63n + 5n, signature: `of ${path}` },
  ...more,
});

/** The files of this process in the folder. */
const openFiles = (): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => `/proc/self/fd/${fd}`)
    .filter((path) => {
      try {
        return readlinkSync(path).startsWith(folder);
      } catch {
        return false;
      }
    });

test('thousands of lines come back unchanged, and the folder shows nothing of them', () => {
  const names = Array.from({ length: 5000 }, (_, index) => `${index % 7}/${'x'.repeat(index % 250)}${index}`);
  const lines = [...names, fromText('Grüße')].sort(comparePaths).map((path, index) =>
    line(path, {
      isDirectory: index % 3 === 0,
      isLink: index % 5 === 0,
      signature: index % 4 === 0 ? '' : path,
    }),
  );
  using ledger = new TreeLedger(folder);
  for (const each of lines) ledger.add(each);
  for (let time = 0; time < 2; time++) {
    const reader = ledger.read();
    expect(lines.map(() => reader.takeBefore(undefined))).toEqual(lines);
    expect(reader.takeBefore(undefined)).toBeUndefined();
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('lines before a path are taken first, and those below a directory separately', () => {
  using ledger = new TreeLedger(folder);
  for (const path of ['', 'a', 'a/b', 'a/b/c', 'a-b', 'd']) ledger.add(line(path));
  const reader = ledger.read();
  expect(reader.takeAt('a')).toBeUndefined();
  expect(reader.takeBefore('a')?.path).toBe('');
  expect(reader.takeBefore('a')).toBeUndefined();
  expect(reader.takeAt('a')?.path).toBe('a');
  expect([1, 2, 3].map(() => reader.takeBelow('a')?.path)).toEqual(['a/b', 'a/b/c', undefined]);
  expect(reader.takeBefore('c')?.path).toBe('a-b');
  expect(reader.takeBefore('c')).toBeUndefined();
  expect(reader.takeBefore(undefined)?.path).toBe('d');
});

test('no name can be read on the disk', () => {
  using ledger = new TreeLedger(folder);
  for (let index = 0; index < 2000; index++) ledger.add(line(`a-telling-name-${index}`));
  ledger.read();
  const [path = ''] = openFiles();
  const bytes = readFileSync(path);
  expect(bytes.length).toBeGreaterThan(50_000);
  expect(bytes.includes('telling')).toBe(false);
});
