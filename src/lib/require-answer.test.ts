import { expect, test } from 'vitest';
import { parseMountinfo } from './mountinfo.ts';
import { mayHang, requireAnswer } from './require-answer.ts';

const mounts = parseMountinfo(
  [
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
    '2 1 0:50 / /srv/share rw - nfs4 server:/share rw',
    '3 2 8:2 / /srv/share/disk rw - xfs /dev/sdb rw',
    '4 1 0:51 / /data/cloud rw - fuse.rclone remote: rw',
  ].join('\n'),
);

test.each([
  ['/srv', false],
  ['/srv/share', true],
  ['/srv/share/a/b', true],
  ['/srv/shared', false],
  ['/srv/share/disk/a', false],
  ['/data/cloud/x', true],
])('what lies on a server or behind a program may hang: %s', (path, expected) => {
  expect(mayHang(mounts, path)).toBe(expected);
});

test('a directory of this machine answers', async () => {
  await expect(requireAnswer(import.meta.dirname, { name: 'here' })).resolves.toBeUndefined();
});
