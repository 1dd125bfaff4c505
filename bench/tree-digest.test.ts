import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeDifference, digestTree } from './tree-digest.ts';

const { signal } = new AbortController();
let folder = '';
let tree = '';
let copy = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-digest-'));
  tree = join(folder, 'tree');
  copy = join(folder, 'copy');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'sub/file'), 'content');
  symlinkSync('file', join(tree, 'sub/link'));
  cpSync(tree, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const compare = async () =>
  describeDifference(await digestTree(tree, signal), await digestTree(copy, signal));

it('finds a true copy equal', async () => {
  expect(await compare()).toBeUndefined();
  expect(await digestTree(tree, signal)).toMatchObject({ files: 1, bytes: 7 });
});

it.each<[string, () => void]>([
  ['a missing file', () => rmSync(join(copy, 'sub/file'))],
  ['a missing link', () => rmSync(join(copy, 'sub/link'))],
  ['an empty directory too many', () => mkdirSync(join(copy, 'more'))],
  ['a byte more', () => appendFileSync(join(copy, 'sub/file'), 'x')],
  ['a mode', () => chmodSync(join(copy, 'sub/file'), 0o600)],
  ['a time', () => utimesSync(join(copy, 'sub/file'), 1, 1)],
])('finds %s', async (_, damage) => {
  damage();
  expect(await compare()).toMatch(/came back/);
});
