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
import { setImmediate as nextTurn } from 'node:timers/promises';
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
  // Created from the bottom up: a path to the deepest would be too long.
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

test('removeTree() removes more folders than it remembers at once, and chains of them that are deeper than it holds open', async () => {
  const root = join(folder, 'root');
  for (let i = 0; i < 2500; i++) mkdirSync(join(root, `d${i}`, 'below'), { recursive: true });
  let deep = root;
  for (let level = 0; level < 300; level++) deep = join(deep, 'd');
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, 'file'), '');
  await removeTree(root);
  expect(readdirSync(folder)).toEqual([]);
});

test('removeTree() removes a symbolic link to a folder, and nothing of the folder', async () => {
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(folder, 'outside/kept'), '');
  symlinkSync(join(folder, 'outside'), join(folder, 'link'));
  await removeTree(join(folder, 'link'));
  expect(readdirSync(folder)).toEqual(['outside']);
  expect(readdirSync(join(folder, 'outside'))).toEqual(['kept']);
});

test('removeTree() continues in the folder that it holds when another takes its name', async () => {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'a'), { recursive: true });
  mkdirSync(join(folder, 'outside'));
  for (let i = 0; i < 20_000; i++) writeFileSync(join(root, 'a', `file-${i}`), '');
  for (let i = 0; i < 100; i++) writeFileSync(join(folder, 'outside', `file-${i}`), '');
  const removed = removeTree(root);
  // The removal yields while it is in the folder.
  await nextTurn();
  const before = readdirSync(join(root, 'a')).length;
  renameSync(join(root, 'a'), join(folder, 'moved'));
  symlinkSync(join(folder, 'outside'), join(root, 'a'));
  await removed;
  expect(before).toBeGreaterThan(0);
  expect(readdirSync(join(folder, 'outside'))).toHaveLength(100);
  expect(readdirSync(join(folder, 'moved'))).toEqual([]);
  expect(existsSync(root)).toBe(false);
});

test('removeTree() can be cancelled, and throws that it was', async () => {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'a'), { recursive: true });
  const cancelled = removeTree(root, { signal: AbortSignal.abort() });
  await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  expect(existsSync(join(root, 'a'))).toBe(true);
});
