import { expect, test } from 'vitest';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import { diskOf, locationOf } from './location.ts';

const mounts = parseMountinfo(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /var rw - xfs /dev/sda2 rw
3 2 8:1 /srv/x /var/lib/docker/volumes/bound/_data rw - ext4 /dev/sda1 rw
4 2 0:50 / /var/lib/docker/volumes/far/_data rw - nfs4 server:/x rw
6 2 0:51 / /var/lib/docker/volumes/around/_data/nas rw - nfs4 server:/y rw
7 2 0:52 / /var/lib/docker/volumes/auto/_data rw - autofs systemd-1 rw
5 2 7:0 / /var/lib/docker/volumes/image/_data rw - ext4 /dev/loop0 rw
`);

function location(name: string, options: Readonly<Record<string, string>> = {}, driver = 'local') {
  const mountpoint = `/var/lib/docker/volumes/${name}/_data`;
  return locationOf({ driver, options, mountpoint }, { host: 'docker', mounts });
}

test('a plain volume is read in its folder, and its disk is the mount around it', () => {
  expect(location('pg')).toMatchObject({ mountId: undefined, disk: '/var' });
  expect(location('pg', { size: '10g' })).toMatchObject({ mountId: undefined, disk: '/var' });
});

test('a mounted volume is read through its mount, and a bind mount lies on the disk of its source', () => {
  expect(location('bound', { type: 'none', o: 'bind', device: '/srv/x' })).toMatchObject({
    mountId: 3,
    disk: '/',
  });
  expect(location('image', {}, 'other/plugin')).toMatchObject({
    mountId: 5,
    disk: '/var/lib/docker/volumes/image/_data',
  });
});

test('the empty folder below a mount that is not there is not read', () => {
  for (const options of [
    { type: 'none', o: 'bind', device: '/srv/y' },
    { type: 'ext4', device: '/dev/sdb' },
  ])
    expect(location('away', options)).toEqual({ problem: 'it is not mounted now', isFar: false });
  expect(location('away', {}, 'other/plugin')).toMatchObject({ problem: 'it is not mounted now' });
});

test('a server is never touched, whether it is mounted now or not', () => {
  expect(location('far', { type: 'nfs', device: ':/x' })).toMatchObject({ isFar: true });
  expect(location('away', { type: 'cifs', device: '//s/x' })).toMatchObject({ isFar: true });
  expect(location('far', {}, 'other/plugin')).toMatchObject({ isFar: true });
  expect(location('auto', {}, 'other/plugin')).toMatchObject({ isFar: true });
  expect(location('around')).toEqual({ problem: 'a server is mounted in it', isFar: true });
});

test('an engine that says nothing, or no path, gives no location', () => {
  for (const mountpoint of [undefined, '', 'relative'])
    expect(
      locationOf({ driver: 'local', options: {}, mountpoint }, { host: 'docker', mounts }),
    ).toHaveProperty('problem');
  expect(diskOf([], '/x')).toBeUndefined();
});
