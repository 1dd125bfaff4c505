import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseMountinfo } from '../../lib/mountinfo.ts';
import type { Consumer, Volume } from '../../model/volume.ts';
import type { MountAnswer } from './mount-answers.ts';
import { foldersInOptions } from './missing-device.ts';
import { diagnoseUnmounted, unmountedOver } from './unmounted.ts';

const mounts = parseMountinfo(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /srv rw - xfs /dev/sda2 rw
`);

test('a path on a file system of fstab that is not mounted is known by it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fstab-'));
  const table = join(folder, 'fstab');
  try {
    writeFileSync(
      table,
      `# /dev/sdx /opt ext4
/dev/sda1 / ext4 defaults 0 1
/dev/sda2 /srv/ xfs defaults 0 2
UUID=5 /mnt/big\\040disk/ ext4 nofail 0 2
/dev/sda3 none swap sw 0 0
`,
    );
    expect(unmountedOver('/mnt/big disk/pg', mounts, table)).toBe('/mnt/big disk');
    expect(unmountedOver('/mnt/bigger', mounts, table)).toBeUndefined();
    expect(unmountedOver('/srv/pg', mounts, table)).toBeUndefined();
    expect(unmountedOver('/opt/pg', mounts, table)).toBeUndefined();
    expect(unmountedOver('/srv/pg', mounts, join(folder, 'none'))).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what lies below a disk that is not mounted is told of with what uses it, and not what is not there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fstab-'));
  const table = join(folder, 'fstab');
  const room = { type: 'ext4', totalBytes: 1, freeBytes: 1, totalInodes: 1, freeInodes: 1 };
  const places = ['/mnt/a/docker', '/mnt/b/data', '/mnt/c/data', '/srv/data'].map((path) => ({
    ...{ path, owner: 'container "app"', containers: ['app'] },
  }));
  const answers = new Map<string, MountAnswer>(places.map(({ path }) => [path, { kind: 'room', room }]));
  answers.set('/mnt/c/data', { kind: 'error', message: 'No such file or directory' });
  const find = (isAsked: boolean) => {
    const machine = { answers, machine: mounts, isAsked, dataRoot: '/mnt/a/docker', containers: [], table };
    return diagnoseUnmounted(places, machine).findings.map(({ subject, commands }) => [
      subject.name,
      ...commands.map((words) => words.join(' ')),
    ]);
  };
  try {
    const lines = [
      '/dev/sda2 /srv xfs defaults',
      '/dev/sdb1 /mnt/a ext4 nofail',
      '/dev/sdc1 /mnt/b ext4 noauto',
    ];
    writeFileSync(table, [...lines, '/dev/sdd1 /mnt/c ext4'].join('\n'));
    const engines = ['systemctl stop docker.socket docker', 'mount /mnt/a', 'systemctl start docker'];
    expect(find(false)).toEqual([['/mnt/a', ...engines]]);
    expect(find(true)).toEqual([
      ['/mnt/a', ...engines],
      ['/mnt/b', 'mount /mnt/b'],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a disk that fstab names by a link is mounted where that leads', () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fstab-')));
  try {
    mkdirSync(join(folder, 'disk'));
    symlinkSync('disk', join(folder, 'link'));
    const table = join(folder, 'fstab');
    writeFileSync(table, `/dev/sdb1 ${folder}/link ext4 defaults`);
    const path = join(folder, 'link');
    const room = { type: 'ext4', totalBytes: 1, freeBytes: 1, totalInodes: 1, freeInodes: 1 };
    const find = (machine: typeof mounts) =>
      diagnoseUnmounted([{ path, owner: 'container "app"', containers: ['app'] }], {
        answers: new Map([[path, { kind: 'room', room }]]),
        ...{ machine, isAsked: true, dataRoot: undefined, containers: [], table },
      }).findings;
    expect(find(mounts)).toHaveLength(1);
    const disk = parseMountinfo(`3 1 8:17 / ${folder}/disk rw - ext4 /dev/sdb1 rw`);
    expect(find([...mounts, ...disk])).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a volume that is mounted from a folder there is told of by that folder', () => {
  const volume = (name: string, options: Readonly<Record<string, string>>): Volume => ({
    ...{ name, driver: 'local', mountpoint: `/var/lib/docker/volumes/${name}/_data`, createdAt: undefined },
    ...{ labels: {}, options, scope: 'local', anonymous: false, stack: undefined },
    consumers: [{ name: 'app' } as Consumer],
  });
  const bind = { type: 'none', o: 'bind', device: '/mnt/a/data' };
  const volumes = [
    volume('pg', bind),
    volume('disk', { type: 'ext4', device: '/dev/sdb1' }),
    volume('own', {}),
  ];
  expect(foldersInOptions(volumes)).toEqual([
    { path: '/mnt/a/data', owner: 'volume "pg"', containers: ['app'] },
  ]);
});
