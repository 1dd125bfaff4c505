import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolders } from './durable-file.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'make-folders-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('creates missing folders, and returns the first', async () => {
  expect(await makeFolders(join(folder, 'a/b/c'), { mode: 0o700 })).toBe(join(folder, 'a'));
  expect(statSync(join(folder, 'a/b/c')).mode & 0o777).toBe(0o700);
  expect(await makeFolders(join(folder, 'a/b/c'), { mode: 0o700 })).toBeUndefined();
  expect(await makeFolders(join(folder, 'a/b/d'), { mode: 0o700 })).toBe(join(folder, 'a/b/d'));
});

test('fails where a file is in the way, and leaves it', async () => {
  writeFileSync(join(folder, 'file'), '');
  await expect(makeFolders(join(folder, 'file'), { mode: 0o700 })).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeFolders(join(folder, 'file/a'), { mode: 0o700 })).rejects.toMatchObject({
    code: 'ENOTDIR',
  });
  expect(existsSync(join(folder, 'file'))).toBe(true);
});

test('fails where a file system lets no process create a folder', async () => {
  await expect(makeFolders('/proc/holdfast/a', { mode: 0o700 })).rejects.toMatchObject({ code: 'ENOENT' });
});
