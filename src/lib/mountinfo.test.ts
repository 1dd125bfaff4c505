import { expect, test } from 'vitest';
import { mountAt, mountOver, mountsWithin, parseMountinfo, readMounts } from './mountinfo.ts';

const text = String.raw`21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 21 0:5 /sub /srv/a\040b ro,nosuid master:2 propagate_from:1 - tmpfs none rw,size=1m
41 40 0:6 / /srv/a\040b rw - nfs4 host:/x\134y ro,vers=4
42 21 0:7 / /srv/ab rw - tmpfs - rw
not a mount
`;

test('lines with any number of optional fields are read, and escapes are undone', () => {
  const writable = { isReadOnly: false, isFilesystemReadOnly: false, peerGroup: undefined };
  expect(parseMountinfo(text)).toEqual([
    {
      id: 21,
      device: '254:0',
      root: '/',
      path: '/',
      type: 'ext4',
      source: '/dev/vda',
      options: ['rw', 'relatime'],
      ...writable,
      peerGroup: 1,
    },
    {
      id: 40,
      device: '0:5',
      root: '/sub',
      path: '/srv/a b',
      type: 'tmpfs',
      source: 'none',
      options: ['ro', 'nosuid'],
      ...writable,
      isReadOnly: true,
    },
    {
      id: 41,
      device: '0:6',
      root: '/',
      path: '/srv/a b',
      type: 'nfs4',
      source: 'host:/x\\y',
      options: ['rw'],
      ...writable,
      isFilesystemReadOnly: true,
    },
    {
      id: 42,
      device: '0:7',
      root: '/',
      path: '/srv/ab',
      type: 'tmpfs',
      source: '-',
      options: ['rw'],
      ...writable,
    },
  ]);
});

test('the mount at a path is the topmost one', () => {
  expect(mountAt(parseMountinfo(text), '/srv/a b')?.id).toBe(41);
  expect(mountAt(parseMountinfo(text), '/srv')).toBeUndefined();
  expect(mountOver(parseMountinfo(text), '/srv/a b/c')?.id).toBe(41);
  expect(mountOver(parseMountinfo(text), '/srv/abc')?.id).toBe(21);
});

test('a mount within a folder differs from one that only shares the prefix', () => {
  expect(mountsWithin(parseMountinfo(text), '/srv/a').map(({ id }) => id)).toEqual([]);
  expect(mountsWithin(parseMountinfo(text), '/srv/a b').map(({ id }) => id)).toEqual([40, 41]);
  expect(mountsWithin(parseMountinfo(text), '/')).toHaveLength(4);
});

test('the mounts of this machine have a root', async () => {
  expect(mountAt(await readMounts(), '/')).toBeDefined();
});
