import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseMountinfo } from './mountinfo.ts';
import { leadsToServer, mayHang, requireAnswer } from './require-answer.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'require-answer-')));
});
const formerPath = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = formerPath;
  rmSync(folder, { recursive: true });
});

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

test.each([
  ['link', true],
  ['link/below', true],
  ['chain/below', true],
  ['around', false],
  ['disk/../link', true],
  ['loop', false],
  ['missing/below', false],
])('a symbolic link to what lies on a server may hang: %s', async (path, expected) => {
  mkdirSync(join(folder, 'disk'));
  symlinkSync(join(folder, 'share/media'), join(folder, 'link'));
  symlinkSync('disk/../link', join(folder, 'chain'));
  symlinkSync('disk', join(folder, 'around'));
  symlinkSync('loop', join(folder, 'loop'));
  const nfs = parseMountinfo(`2 1 0:50 / ${join(folder, 'share')} rw - nfs4 server:/share rw`);
  expect(await leadsToServer(nfs, `${folder}/${path}`)).toBe(expected);
});

test('where no program can ask for it, storage that answers is used', async () => {
  const nfs = parseMountinfo(`2 1 0:50 / ${folder} rw - nfs4 server:/share rw`);
  process.env['PATH'] = join(folder, 'none');
  await expect(requireAnswer(folder, { name: 'here', mounts: nfs })).resolves.toBeUndefined();
});
