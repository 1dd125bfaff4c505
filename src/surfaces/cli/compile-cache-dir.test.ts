import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compileCacheDir } from './compile-cache-dir.ts';

// Root's cache is elsewhere, so as root the tests use a user id that does not exist; root's folders are as
// safe as the user's own.
const uid = process.getuid?.() === 0 ? 54_321 : (process.getuid?.() ?? 0);

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cache-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('compiled code is kept in a folder of the user alone, which is made when missing', () => {
  const folder = compileCacheDir({ HOME: home }, uid);
  expect(folder).toBe(join(home, '.cache/holdfast/code'));
  expect(existsSync(String(folder))).toBe(true);
  expect(compileCacheDir({ HOME: home, XDG_CACHE_HOME: join(home, 'x') }, uid)).toBe(
    join(home, 'x/holdfast/code'),
  );
});

test('no compiled code is kept where another user can write, or can replace a parent folder', () => {
  const folder = join(home, '.cache/holdfast/code');
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  expect(compileCacheDir({ HOME: home }, uid)).toBeUndefined();
  chmodSync(folder, 0o755);
  chmodSync(join(home, '.cache'), 0o777);
  expect(compileCacheDir({ HOME: home }, uid)).toBeUndefined();
  chmodSync(join(home, '.cache'), 0o1777);
  expect(compileCacheDir({ HOME: home }, uid)).toBe(folder);
});

test("no compiled code is kept in another user's folder, also behind a link", () => {
  const other = join(home, 'other');
  mkdirSync(other);
  if (process.getuid?.() === 0) chownSync(other, 54_322, 54_322);
  const asked = process.getuid?.() === 0 ? uid : uid + 1;
  symlinkSync(other, join(home, '.cache'));
  expect(compileCacheDir({ HOME: home }, asked)).toBeUndefined();
});

test('a folder that cannot be made costs no command its run', () => {
  writeFileSync(join(home, '.cache'), '');
  expect(compileCacheDir({ HOME: home }, uid)).toBeUndefined();
  expect(compileCacheDir({ HOME: 'relative' }, uid)).toBeUndefined();
  expect(compileCacheDir({}, uid)).toBeUndefined();
});

test("root's cache of compiled code is never in a home folder, which with sudo may be another user's", () => {
  expect([undefined, '/var/cache/holdfast/code']).toContain(
    compileCacheDir({ HOME: home, XDG_CACHE_HOME: home }, 0),
  );
  expect(existsSync(join(home, 'holdfast'))).toBe(false);
});
