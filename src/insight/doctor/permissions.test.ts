import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { Container } from '../../hosts/containers.ts';
import { type MountPoint, parseMountinfo } from '../../lib/mountinfo.ts';
import type { Volume } from '../../model/volume.ts';
import { choosePatients, isOfSystem } from './patients.ts';
import { diagnosePermissions } from './permissions.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'permissions-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function failing(name: string, user: string, source: string): Container {
  const mount = { type: 'bind', source, destination: '/data', readOnly: false } as const;
  return memoryContainers().add({
    name,
    user,
    state: 'exited',
    exitCode: 1,
    pid: undefined,
    mounts: [mount],
  });
}

/** What is found for the first of these containers. */
function findingOf(...containers: readonly Container[]) {
  return findingIn([], ...containers);
}

function findingIn(machine: readonly MountPoint[], ...containers: readonly Container[]) {
  const { mounts } = choosePatients({ host: undefined, containers, volumes: [] }, undefined);
  const options = { isAsked: false, mapBase: 0, users: new Map(), machine };
  return diagnosePermissions(mounts, new Map(), options).findings.find(
    ({ subject }) => subject.name === containers[0]?.name,
  );
}

// Only root's files are given away.
test.skipIf(process.getuid?.() !== 0)(
  'data that another user’s container works with, also below, is not given away',
  () => {
    const below = join(folder, 'below');
    mkdirSync(below);
    chmodSync(folder, 0o700);
    const app = failing('app', '4242:4242', folder);
    expect(findingOf(app)?.fix).toMatchObject({ kind: 'owner', path: folder, from: 0, uid: 4242 });
    expect(findingOf(app, failing('same', '4242:4242', below))?.fix).toMatchObject({ kind: 'owner' });
    const shared = findingOf(app, failing('other', '0', below));
    expect(shared).toMatchObject({ rule: 'permission-denied', fix: undefined });
    // Others' data is opened to one more user by name alone.
    expect(shared?.commands).toEqual([['holdfast', 'doctor', 'app', '--fix']]);
  },
);

test.skipIf(process.getuid?.() !== 0)(
  'a folder of a volume is not given away where another user’s container has the whole of that',
  () => {
    mkdirSync(join(folder, 'part'), { mode: 0o700 });
    const volume = { name: 'parts', driver: 'local', mountpoint: folder } as Volume;
    const mounted = (name: string, user: string, subpath?: string): Container => ({
      ...failing(name, user, ''),
      mounts: [{ type: 'volume', source: 'parts', destination: '/data', readOnly: false, subpath }],
    });
    const [app, other] = [mounted('app', '4242:4242', 'part'), mounted('other', '999:999')];
    const findFor = (...containers: readonly Container[]) => {
      const { mounts } = choosePatients({ host: undefined, containers, volumes: [volume] }, 'app');
      const options = { isAsked: true, mapBase: 0, users: new Map(), machine: [] };
      return diagnosePermissions(mounts, new Map(), options).findings;
    };
    expect(findFor(app)).toMatchObject([{ fix: { kind: 'owner', path: join(folder, 'part') } }]);
    expect(findFor(app, other)).toMatchObject([{ fix: { kind: 'acl', who: { uid: 4242 }, rights: 6 } }]);
    expect(findFor(app, mounted('beside', '999:999', 'elsewhere'))).toMatchObject([
      { fix: { kind: 'owner' } },
    ]);
  },
);

test.skipIf(process.getuid?.() !== 0)(
  'no command is printed for a volume in which a user can replace a folder, and the fix has the folder that was seen',
  () => {
    const data = join(folder, '_data');
    const below = join(data, 'below');
    for (const path of [data, below]) {
      mkdirSync(path, { mode: 0o755 });
      chownSync(path, 5000, 5000);
    }
    const mount = { type: 'volume', source: 'shared', destination: '/data', readOnly: false } as const;
    const containers = [failing('app', '4242:4242', ''), failing('other', '0', '')].map((one) => ({
      ...one,
      mounts: [mount],
    }));
    const shared = { name: 'shared', driver: 'local', mountpoint: data } as Volume;
    const look = (asked: string) => {
      const { mounts } = choosePatients({ host: undefined, containers, volumes: [shared] }, asked);
      const options = { isAsked: true, mapBase: 0, users: new Map(), machine: [] };
      return diagnosePermissions(mounts, new Map(), options).findings;
    };
    for (const path of [below, data]) {
      const { dev: device, ino: inode } = statSync(path, { bigint: true });
      const fix = { kind: 'acl', path, identity: { device, inode }, isMask: false };
      // What "--fix" shows before it asks.
      const remedy: unknown = expect.stringContaining(`read and write "${path}" and all below it`);
      expect(look(path)).toMatchObject([{ rule: 'permission-denied', commands: [], fix, remedy }]);
    }
  },
);

function onMountWithOwner(type: string) {
  const mount = parseMountinfo(`1 0 0:50 / ${folder} rw - ${type} source rw\n`);
  const found = findingIn(mount, failing('app', '4242:4243', folder));
  expect(found).toMatchObject({ rule: 'permission-denied', fix: undefined, commands: [] });
  return found;
}

test.each([
  ['cifs', 0o700, 'uid=4242,gid=4243'],
  ['vfat', 0o500, 'uid=4242,gid=4243,umask=022'],
])(
  'on a file system whose mount says who owns all (%s), its options are named, and no change of the owner',
  (type, mode, options) => {
    chmodSync(folder, mode);
    expect(onMountWithOwner(type)?.remedy).toContain(`mount it with "${options}" among`);
  },
);

// Only root gives files away.
test.skipIf(process.getuid?.() !== 0).each([
  ['cifs', 'file_mode=0755,dir_mode=0755'],
  ['exfat', 'umask=022'],
])(
  'on such a file system (%s), a mode that refuses its owner is mended by the mount, too',
  (type, options) => {
    chmodSync(folder, 0o500);
    chownSync(folder, 4242, 4243);
    expect(onMountWithOwner(type)?.remedy).toContain(`mount it with "${options}" among`);
  },
);

test('root without its capabilities is refused what belongs to others', () => {
  chmodSync(folder, 0o700);
  if (process.getuid?.() === 0) chownSync(folder, 4242, 4242);
  const app = failing('app', '0', folder);
  const capabilities = { dropped: ['ALL'], added: ['CHOWN'] };
  expect(findingOf(app)).toBeUndefined();
  expect(findingOf({ ...app, capabilities })).toMatchObject({ rule: 'permission-denied' });
  expect(findingOf({ ...app, capabilities: { ...capabilities, added: ['DAC_OVERRIDE'] } })).toBeUndefined();
});

test('the machine’s own folders are not given away to a container that has them mounted', () => {
  const found = findingOf(failing('exporter', '65534:65534', '/'));
  expect(found).toMatchObject({ rule: 'permission-denied', fix: undefined, commands: [] });
});

test.each([
  ['/', true],
  ['/var/lib/', true],
  ['/home/me', true],
  ['/home/me/app', false],
  ['/bin', true],
  ['/var/log', true],
  ['/var/log/nginx', false],
  ['/var/lib/docker', true],
  ['/var/lib/docker/containers', true],
  ['/var/lib/docker/volumes', true],
  ['/var/lib/docker/volumes/pg/_data', false],
  ['/var/lib/containers/storage/volumes/pg/_data', false],
  ['/var/lib/postgresql', false],
  ['/srv/../etc/x', true],
  ['/srv/data', false],
  ['/libraries', false],
])('%s is the machine’s own: %s', (place, expected) => {
  expect(isOfSystem(place)).toBe(expected);
});
