import { expect, test } from 'vitest';
import { volumeDifferences } from './volume-difference.ts';
import type { Volume, VolumeSpec } from './volume.ts';

const volume: Volume = {
  name: 'pg',
  driver: 'local',
  mountpoint: undefined,
  createdAt: undefined,
  labels: { tier: 'db', 'com.docker.compose.project': 'shop' },
  options: { type: 'nfs', device: ':/pg', o: 'addr=10.0.0.1,password=secret' },
  scope: 'local',
  anonymous: false,
  stack: 'shop',
  consumers: [],
};

function differences(spec: Partial<VolumeSpec>): string[] {
  return volumeDifferences({ name: 'pg', driver: 'local', labels: {}, options: {}, ...spec }, volume);
}

test('a spec that says nothing, or the same, contradicts nothing', () => {
  expect(differences({})).toEqual([]);
  expect(differences({ driver: '' })).toEqual([]);
  expect(differences({ labels: { tier: 'db' }, options: volume.options })).toEqual([]);
});

test('every difference has its line', () => {
  expect(
    differences({
      driver: 'nfs',
      labels: { tier: 'web', owner: 'me' },
      options: { type: 'tmpfs', size: '1g', device: ':/pg' },
    }),
  ).toEqual([
    'driver is "local", not "nfs"',
    'option "type" is "nfs", not "tmpfs"',
    'option "size" is not set, but "1g" was asked for',
    'option "o" is "addr=10.0.0.1,password=***", but was not asked for',
    'label "tier" is "db", not "web"',
    'label "owner" is not set, but "me" was asked for',
  ]);
});

test('a label named like a property of JavaScript’s objects is not found where it is absent', () => {
  expect(differences({ labels: { toString: 'x' } })).toEqual([
    'label "toString" is not set, but "x" was asked for',
  ]);
});

test('an option that is a password is not shown', () => {
  expect(
    differences({ options: { ...volume.options, Password: 'new' }, labels: { 'api-token': 't' } }),
  ).toEqual([
    'option "Password" is not set, but *** was asked for',
    'label "api-token" is not set, but *** was asked for',
  ]);
});
