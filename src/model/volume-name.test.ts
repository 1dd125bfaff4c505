import { expect, test } from 'vitest';
import { checkOwnName, checkVolumeName, isVolumeName, longestOwnName } from './volume-name.ts';

test.each(['pg', 'a1', 'web_db-1.data', '0x', 'A'.repeat(255)])('checkVolumeName() accepts %j', (name) => {
  expect(() => checkVolumeName(name)).not.toThrow();
  expect(isVolumeName(name)).toBe(true);
});

test('checkVolumeName() refuses a name of one character in Docker’s words', () => {
  expect(() => checkVolumeName('x')).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: 'volume name is too short, names should be at least two alphanumeric characters',
    }),
  );
});

test.each([
  ['a b', '"a b"'],
  ['', '""'],
  ['-a', '"-a"'],
  ['.a', '".a"'],
  ['a/b', '"a/b"'],
  ['../etc', '"../etc"'],
  ['é', '"é"'],
  ['aé', '"aé"'],
  ['ab\n', String.raw`"ab\n"`],
  ['a"b', String.raw`"a\"b"`],
  ['a\0b', String.raw`"a\x00b"`],
])('checkVolumeName() refuses %j in Docker’s words', (name, shown) => {
  expect(isVolumeName(name)).toBe(false);
  expect(() => checkVolumeName(name)).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: `${shown} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    }),
  );
});

test('checkOwnName() refuses a name that no folder in the trash can have', () => {
  expect(() => checkOwnName('a'.repeat(longestOwnName))).not.toThrow();
  expect(() => checkOwnName('a'.repeat(longestOwnName + 1))).toThrow('at most 229 characters');
  expect(() => checkOwnName('x')).toThrow('volume name is too short');
});

test('checkVolumeName() refuses a name that no directory can have', () => {
  expect(() => checkVolumeName('a'.repeat(256))).toThrow('volume name is too long');
});
