import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseLdd, sharedLibrariesOf } from './shared-libraries.ts';

test('finds the loader and the libraries of a program, and none of the kernel', async () => {
  const found = await sharedLibrariesOf([process.execPath]);
  expect(found.some((path) => path.includes('libstdc++'))).toBe(true);
  expect(found.some((path) => /\/ld-linux/.test(path))).toBe(true);
  expect(found.filter((path) => !existsSync(path))).toEqual([]);
});

test('refuses a program whose library is missing', () => {
  const said = '\tlinux-vdso.so.1 (0x00007f)\n\tlibgone.so.1 => not found\n';
  expect(() => parseLdd(said, '/bin/x')).toThrow('libgone.so.1');
});
