import { expect, test } from 'vitest';
import type { HostInfo } from '../hosts/host.ts';
import {
  type ContainerOwners,
  lookAtOwners,
  ownerOnMachine,
  remappedOwners,
  rootlessOwners,
} from './container-owners.ts';

const ranges = {
  users: [
    { owner: 'alice', start: 100_000, count: 1000 },
    { owner: 'dockremap', start: 300_000, count: 65_536 },
    { owner: 'alice', start: 500_000, count: 65_536 },
  ],
  groups: [
    { owner: '1000', start: 200_000, count: 65_536 },
    { owner: 'dockremap', start: 400_000, count: 65_536 },
  ],
};
const remapped = remappedOwners({ uid: 300_000, gid: 400_000 }, ranges);
const rootless = rootlessOwners({ uid: 1000, gid: 100, name: 'alice' }, ranges);
const on = (owners: ContainerOwners, uid: number, gid: number, mode?: string): unknown =>
  ownerOnMachine({ uid, gid }, owners, mode);

test('an engine with userns-remap counts from its root on, and a service may leave that', () => {
  expect(on(remapped, 0, 0)).toEqual({ uid: 300_000, gid: 400_000 });
  expect(on(remapped, 999, 1000)).toEqual({ uid: 300_999, gid: 401_000 });
  expect(on(remapped, 999, 1000, 'host')).toEqual({ uid: 999, gid: 1000 });
  expect(on(remapped, 65_536, 0)).toContain('/etc/subuid and /etc/subgid give it too few');
});

test('a remapped engine whose range is not in the files has as many numbers as Docker gives it', () => {
  const unlisted = remappedOwners({ uid: 7000, gid: 8000 }, { users: [], groups: [] });
  expect(on(unlisted, 1, 2)).toEqual({ uid: 7001, gid: 8002 });
  expect(on(unlisted, 70_000, 2)).toBeTypeOf('string');
});

test('root of an engine without root is its user, and the others are in all ranges of that user, one after the other', () => {
  expect(on(rootless, 0, 0)).toEqual({ uid: 1000, gid: 100 });
  expect(on(rootless, 1, 1)).toEqual({ uid: 100_000, gid: 200_000 });
  expect(on(rootless, 1000, 5)).toEqual({ uid: 100_999, gid: 200_004 });
  expect(on(rootless, 1001, 5)).toEqual({ uid: 500_000, gid: 200_004 });
  expect(on(rootless, 999, 999, 'host')).toEqual({ uid: 100_998, gid: 200_998 });
  const without = rootlessOwners({ uid: 1001, gid: 1001, name: 'bob' }, ranges);
  expect(on(without, 0, 0)).toEqual({ uid: 1001, gid: 1001 });
  expect(on(without, 999, 999)).toContain('give it too few');
});

test('a data folder that is named like a version is no remapping', async () => {
  const info: HostInfo = {
    ...{ kind: 'docker', identity: 'engine', name: 'host', version: '27.3', endpoint: '/run/docker.sock' },
    dataRoot: '/srv/docker/27.3',
  };
  expect(await lookAtOwners(info)).toEqual({ kind: 'same' });
  const odd = { ...info, dataRoot: '/srv/docker', isRemapped: true };
  expect(await lookAtOwners(odd)).toEqual({
    kind: 'unknown',
    why: '"/srv/docker" does not tell the numbers',
  });
});

test('what only the engine knows is no number', () => {
  expect(on({ kind: 'same' }, 5, 5, 'keep-id')).toContain('"userns_mode" is "keep-id"');
  expect(on({ kind: 'same' }, 5, 5, 'host')).toEqual({ uid: 5, gid: 5 });
  expect(on({ kind: 'unknown', why: 'it is away' }, 5, 5)).toContain('it is away');
});
