import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryHandle } from './directory-handle.ts';
import { makeOwnDirectory, removeOwnDirectory } from './own-directory.ts';

const name = '.holdfast-stage-0123456789abcdef';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-directory-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('makeOwnDirectory() makes a closed directory, and none where there is something', () => {
  using above = DirectoryHandle.open(folder);
  using made = makeOwnDirectory(above, name);
  expect(statSync(join(folder, name))).toMatchObject({ ino: Number(made.stat().ino), mode: 0o40700 });
  expect(() => makeOwnDirectory(above, name)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  expect(readdirSync(folder)).toEqual([name]);
});

test('removeOwnDirectory() empties its directory wherever it is, and leaves what has taken its name', async () => {
  using above = DirectoryHandle.open(folder);
  using made = makeOwnDirectory(above, name);
  writeFileSync(join(folder, name, 'file'), '');
  renameSync(join(folder, name), join(folder, 'moved'));
  mkdirSync(join(folder, name, 'theirs'), { recursive: true });
  await removeOwnDirectory(above, { name, made });
  expect(readdirSync(join(folder, 'moved'))).toEqual([]);
  expect(readdirSync(join(folder, name))).toEqual(['theirs']);
  rmSync(join(folder, name, 'theirs'), { recursive: true });
  await removeOwnDirectory(above, { name, made });
  expect(readdirSync(folder)).toEqual(['moved']);
});
