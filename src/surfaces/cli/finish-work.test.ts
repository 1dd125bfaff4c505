import { expect, test } from 'vitest';
import { warnOfProblems } from './finish-work.ts';
import type { Session } from './session.ts';

function warningOf(path: string, message: string): string {
  const warnings: string[] = [];
  const session = { warn: (text: string) => void warnings.push(text) } as unknown as Session;
  warnOfProblems(session, [{ path, message }]);
  return warnings.join('\n');
}

test.each([
  ['a', 'cannot be read', 'Warning: "a" cannot be read'],
  [
    'read',
    'cannot be read: the disk reports an error',
    'Warning: "read" cannot be read: the disk reports an error',
  ],
  ['disk', 'No room left on the disk', 'Warning: "disk" No room left on the disk'],
  ['b', 'cannot be read beside "other/ab"', 'Warning: "b" cannot be read beside "other/ab"'],
  ['dir/a', 'Cannot read "dir/a"', 'Warning: Cannot read "dir/a"'],
  ['dir/a', 'Cannot read "/to/dir/a"', 'Warning: Cannot read "/to/dir/a"'],
  ['a', "EACCES: permission denied, open '/to/a'", "Warning: EACCES: permission denied, open '/to/a'"],
  ['…', 'and more', 'Warning: and more'],
])('a warning names the file %j of %j once', (path, message, expected) => {
  expect(warningOf(path, message)).toBe(expected);
});
