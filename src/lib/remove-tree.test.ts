import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from './remove-tree.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-remove-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('removeTree() removes names of any bytes and locked folders, and leaves what symbolic links point to', async () => {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(Buffer.from(`${root}/a/x\xff\n`, 'latin1'), '');
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(folder, 'outside/kept'), '');
  symlinkSync(join(folder, 'outside'), join(root, 'link'));
  chmodSync(join(root, 'a/b'), 0o000);
  await removeTree(root);
  expect(readdirSync(folder)).toEqual(['outside']);
  expect(existsSync(join(folder, 'outside/kept'))).toBe(true);
  await removeTree(root);
});

test('removeTree() removes folders that are deeper than a path can be', async () => {
  // Made from the bottom up: a path to the deepest of them cannot be written.
  const name = 'd'.repeat(200);
  let top = join(folder, 'start');
  mkdirSync(top);
  for (let level = 0; level < 40; level++) {
    const outer = join(folder, `level-${level}`);
    mkdirSync(outer);
    renameSync(top, join(outer, name));
    top = outer;
  }
  await removeTree(top);
  expect(readdirSync(folder)).toEqual([]);
});
