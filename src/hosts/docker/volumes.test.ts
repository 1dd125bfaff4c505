import { expect, test } from 'vitest';
import { mountsOf } from './mounts.ts';
import { joinVolumes, missingVolumes } from './volumes.ts';

test('a volume of which the engine says next to nothing is a volume', () => {
  const nothing = { Driver: null, Mountpoint: '', CreatedAt: null, Labels: null, Options: null, Scope: null };
  expect(joinVolumes([{ Name: 'bare', ...nothing }], [])).toEqual([
    {
      name: 'bare',
      driver: 'local',
      mountpoint: undefined,
      createdAt: undefined,
      labels: {},
      options: {},
      scope: 'local',
      anonymous: false,
      stack: undefined,
      consumers: [],
    },
  ]);
});

test('an unknown time is undefined, and not the year 1', () => {
  const [joined] = joinVolumes([{ Name: 'plugged', Driver: 'nfs', CreatedAt: '0001-01-01T00:00:00Z' }], []);
  expect(joined?.createdAt).toBeUndefined();
});

test("Swarm's cluster volumes are volumes, and services that mount them are consumers", () => {
  const volume = { Name: 'swarm', Driver: 'csi', Scope: 'global', ClusterVolume: { ID: 'x', Spec: {} } };
  const container = {
    Id: 'f'.repeat(64),
    Names: ['/web.1.abc'],
    State: 'running',
    Labels: { 'com.docker.swarm.service.name': 'web', 'com.docker.stack.namespace': 'shop' },
    Mounts: [{ Type: 'cluster', Name: 'swarm', Destination: '/data', RW: true }],
  };
  const [joined] = joinVolumes([volume], [container]);
  expect(joined).toMatchObject({ scope: 'global', driver: 'csi', mountpoint: undefined });
  expect(joined?.consumers).toMatchObject([
    { name: 'web.1.abc', service: 'web', stack: 'shop', path: '/data' },
  ]);
});

test('containers without names, mounts or a known state are no trouble', () => {
  const container = {
    Id: 'abcdef0123456789',
    Names: null,
    State: 'teleporting',
    Mounts: [{ Type: 'volume', Name: 'v' }, { Type: 'volume', Name: '' }, { Type: 'npipe', Source: 'x' }, {}],
  };
  const [joined] = joinVolumes([{ Name: 'v' }], [container, { Id: 'x', Mounts: null }]);
  // An unknown state counts as running.
  expect(joined?.consumers).toMatchObject([
    { name: 'abcdef012345', state: 'running', path: '', readOnly: false },
  ]);
  expect(mountsOf(container, { HostConfig: null }).map(({ type }) => type)).toEqual([
    'volume',
    'other',
    'other',
    'other',
  ]);
});

test('a container is known by its own name and not by a link to it', () => {
  const mounts = [{ Type: 'volume', Name: 'v', Destination: '/d' }];
  const [joined] = joinVolumes([{ Name: 'v' }], [{ Id: 'x', Names: ['/web/db', '/db'], Mounts: mounts }]);
  expect(joined?.consumers[0]?.name).toBe('db');
});

test('volumes that only containers know are named with their driver, once', () => {
  const mounts = [
    { Type: 'volume', Name: 'gone', Driver: 'broken', Destination: '/a' },
    { Type: 'volume', Name: 'gone', Driver: 'broken', Destination: '/b' },
    { Type: 'bind', Source: '/x', Destination: '/c' },
    { Type: 'volume', Name: 'known', Driver: 'local', Destination: '/d' },
  ];
  expect(missingVolumes([{ Name: 'known' }], [{ Id: 'x', Mounts: mounts }])).toEqual([
    { Name: 'gone', Driver: 'broken' },
  ]);
});
