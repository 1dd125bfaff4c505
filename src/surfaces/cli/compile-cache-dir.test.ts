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

// Root keeps it elsewhere, so as root the tests ask for a user that does not exist; what root owns is as safe as its own.
const uid = process.getuid?.() === 0 ? 54_321 : (process.getuid?.() ?? 0);

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cache-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('compiled code is kept in a folder of the user alone, which is made', () => {
  const folder = compileCacheDir({ HOME: home }, uid);
  expect(folder).toBe(join(home, '.cache/holdfast/code'));
  expect(existsSync(String(folder))).toBe(true);
  expect(compileCacheDir({ HOME: home, XDG_CACHE_HOME: join(home, 'x') }, uid)).toBe(
    join(home, 'x/holdfast/code'),
  );
});

test('no compiled code is kept where another user can write, or can replace a folder above', () => {
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

test('no compiled code is kept in a folder of another user, behind a link too', () => {
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

test('the cache of compiled code is never in a home folder for root, who may have come there by sudo', () => {
  expect([undefined, '/var/cache/holdfast/code']).toContain(
    compileCacheDir({ HOME: home, XDG_CACHE_HOME: home }, 0),
  );
  expect(existsSync(join(home, 'holdfast'))).toBe(false);
});
