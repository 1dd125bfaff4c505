import { expect, test } from 'vitest';
import { explainMountFailure } from './mount-failure.ts';

test.each([
  ["mount: /x: unknown filesystem type 'nfs'.", 'unsupported', 'this kernel has no file system "nfs"'],
  ['mount.nfs: access denied by server while mounting nas:/x', 'denied', 'the server refuses "nas:/x"'],
  ['mount.nfs4: Operation not permitted for nas:/x on /x', 'denied', 'the server refuses "nas:/x"'],
  ['mount.nfs: Connection refused', 'unavailable', 'refuses the connection'],
  ['mount.nfs: Connection timed out', 'unavailable', 'does not answer'],
  [
    'mount.nfs: mounting nas:/x failed, reason given by server: No such file or directory',
    'not-found',
    'does not exist',
  ],
  ['mount.nfs: Stale file handle', 'unavailable', 'stale handle'],
  ['mount error(13): Permission denied', 'denied', 'refuses the user or the password'],
  ['mount error(2): No such file or directory', 'not-found', 'has no share'],
  ['mount error(112): Host is down', 'unavailable', 'does not answer'],
  [
    'mount: /x: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.',
    'unsupported',
    'the program mount.nfs is not installed',
  ],
  ['mount: /x: must be superuser to use mount.', 'denied', 'not permitted'],
  [
    'mount: /x: wrong fs type, bad option, bad superblock on /dev/loop0, missing codepage or helper program, or other error.',
    'failed',
    'is no good nfs, or an option is wrong',
  ],
  ['something new', 'failed', 'something new'],
])('"%s" is %s', (stderr, code, words) => {
  const error = explainMountFailure({ name: 'some-volume', source: 'nas:/x', type: 'nfs', stderr });
  expect(error.code).toBe(code);
  expect(error.message).toContain(`Cannot mount volume "some-volume": `);
  expect(error.message).toContain(words);
});

test('a password that mount repeats is not shown', () => {
  const stderr = 'mount: bad option username=me,password=hunter2,x';
  const error = explainMountFailure({ name: 'v', source: '//nas/x', type: 'cifs', stderr });
  expect(`${error.message} ${error.detail}`).not.toContain('hunter2');
});
