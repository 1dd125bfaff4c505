import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { whoElseWrites } from './own-path.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-'));
  file = join(folder, 'a/b/file');
  mkdirSync(join(folder, 'a/b'), { recursive: true, mode: 0o755 });
  writeFileSync(file, '', { mode: 0o644 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('paths that only root and this user can change are accepted, even below a shared sticky folder', async () => {
  expect(await whoElseWrites(file)).toBeUndefined();
  chmodSync(join(folder, 'a'), 0o1777);
  expect(await whoElseWrites(file)).toBeUndefined();
});

test.each([
  ['a/b/file', 0o666],
  ['a/b', 0o757],
  ['a', 0o777],
])('a mode that lets others write to %s is told', async (name, mode) => {
  chmodSync(join(folder, name), mode);
  expect(await whoElseWrites(file)).toBe(`other users can write to "${join(folder, name)}"`);
});

test('a sticky folder does not excuse a writable entry', async () => {
  chmodSync(join(folder, 'a/b'), 0o1777);
  expect(await whoElseWrites(join(folder, 'a/b'))).toContain('can write');
});

test.runIf(process.getuid?.() === 0)('what belongs to another user, and a link of one, is told', async () => {
  chownSync(join(folder, 'a'), 4711, 0);
  expect(await whoElseWrites(file)).toBe(`"${join(folder, 'a')}" belongs to user 4711`);
  chownSync(join(folder, 'a'), 0, 0);
  const link = join(folder, 'link');
  symlinkSync(file, link);
  expect(await whoElseWrites(link)).toBeUndefined();
  lchownSync(link, 4711, 0);
  expect(await whoElseWrites(link)).toContain('belongs to user 4711');
});

test('links are followed to their targets, but not for ever', async () => {
  symlinkSync('a/b', join(folder, 'short'));
  expect(await whoElseWrites(join(folder, 'short/file'))).toBeUndefined();
  chmodSync(file, 0o666);
  expect(await whoElseWrites(join(folder, 'short/file'))).toContain('can write');
  symlinkSync('round', join(folder, 'round'));
  await expect(whoElseWrites(join(folder, 'round'))).resolves.toContain('too many links');
});
