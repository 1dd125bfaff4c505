import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { fromText } from '../../model/byte-string.ts';
import { measureSmallFiles } from './small-files.ts';
import { openTestFile, removeLeftovers } from './test-file.ts';

let folder: string;
let volume: string;
let root: DirectoryHandle;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'));
  volume = join(folder, 'volume');
  mkdirSync(volume);
  root = DirectoryHandle.open(fromText(volume));
});
afterEach(() => {
  root[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

test('small files are made, looked at, read and removed, and their folder is gone', async () => {
  const measures = await measureSmallFiles(root, { count: 100, signal: undefined });
  expect(measures.map(({ name }) => name)).toEqual([
    'files-create',
    'files-stat',
    'files-read',
    'files-remove',
  ]);
  for (const { rate, latency } of measures) {
    expect(rate).toBeGreaterThan(0);
    expect(latency?.p99Ms).toBeGreaterThanOrEqual(latency?.p50Ms ?? Infinity);
  }
  expect(readdirSync(volume)).toEqual([]);
});

test('a link that a container puts there is not written through, and all is removed', async () => {
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'mine');
  const measuring = measureSmallFiles(root, { count: 400, signal: undefined });
  const refused = expect(measuring).rejects.toMatchObject({ code: 'EEXIST' });
  let own = '';
  while (own === '') {
    own = readdirSync(volume)[0] ?? '';
    if (own === '') await setImmediate();
  }
  symlinkSync(victim, join(volume, own, 'f399'));
  await refused;
  expect(readFileSync(victim, 'utf8')).toBe('mine');
  expect(readdirSync(volume)).toEqual([]);
});

test('a cancelled measurement leaves nothing', async () => {
  const cancel = new AbortController();
  const measuring = measureSmallFiles(root, { count: 100_000, signal: cancel.signal });
  const cancelled = expect(measuring).rejects.toMatchObject({ code: 'cancelled' });
  while (readdirSync(volume).length === 0) await setImmediate();
  cancel.abort();
  await cancelled;
  expect(readdirSync(volume)).toEqual([]);
});

test('what a kill has left is removed, and nothing else', async () => {
  const left = join(volume, '.holdfast-bench-0123456789abcdef');
  mkdirSync(left);
  writeFileSync(join(left, 'f1'), 'x');
  symlinkSync(folder, join(volume, '.holdfast-bench-fedcba9876543210'));
  for (const name of ['.holdfast-bench-', '.holdfast-bench-0123456789abcdef0', 'data'])
    mkdirSync(join(volume, name));
  await removeLeftovers(root);
  expect(readdirSync(volume).toSorted()).toEqual([
    '.holdfast-bench-',
    '.holdfast-bench-0123456789abcdef0',
    'data',
  ]);
  expect(readdirSync(folder)).toEqual(['volume']);
});

test('the file that is measured has no name', async () => {
  using file = await openTestFile(root, { sizeBytes: 1 << 20, signal: undefined });
  expect(file.fd).toBeGreaterThan(2);
  expect(readdirSync(volume)).toEqual([]);
});
