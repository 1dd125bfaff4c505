import { expect, test } from 'vitest';
import type { Image } from '../../hosts/containers.ts';
import { wantedOwner } from './wanted-owner.ts';

const imageWith = (user: string): Image => ({ id: 'sha256:1', user, volumes: [], environment: {} });
const ownerOf = (image: string | undefined, user?: string, declared?: string): unknown =>
  wantedOwner({ image, user }, declared === undefined ? undefined : imageWith(declared)).owner;

test.each([
  ['postgres:15', [999, 999]],
  ['postgres:18-alpine', [70, 70]],
  ['docker.io/library/postgres:15@sha256:00', [999, 999]],
  ['images.example.io/postgres', [999, 999]],
  ['redis:7-alpine', [999, 1000]],
  ['mariadb', [999, 999]],
])('a folder of the database %s is for the user that its server changes to', (image, [uid, gid]) => {
  expect(ownerOf(image)).toEqual({ uid, gid });
  expect(ownerOf(image, undefined, '')).toEqual({ uid, gid });
});

test('an image that only sounds like a database is none', () => {
  expect(ownerOf('acme/postgres-backup:1')).toBeUndefined();
  expect(ownerOf('acme/mypostgres')).toBeUndefined();
});

test('"user" of the service comes before USER of the image, and that before what is known of it', () => {
  expect(ownerOf('postgres:15', '1000:100', '70:70')).toEqual({ uid: 1000, gid: 100 });
  expect(ownerOf('postgres:15', undefined, '70:71')).toEqual({ uid: 70, gid: 71 });
  expect(ownerOf('postgres:15', '0')).toEqual({ uid: 0, gid: 0 });
});

test('a user without a group has the group root, as the engine runs it', () => {
  expect(ownerOf('web', '1000')).toEqual({ uid: 1000, gid: 0 });
});

test('a name that only the image can resolve is no number, and is told', () => {
  const found = wantedOwner({ image: 'web', user: undefined }, imageWith('node'));
  expect(found.owner).toBeUndefined();
  expect(found.doubt).toContain('"node"');
  expect(wantedOwner({ image: 'web', user: 'app\u001b[31m' }, imageWith('')).doubt).not.toContain('\u001b');
});

test('numbers that no user can have are no owner', () => {
  expect(ownerOf('web', '4294967295')).toBeUndefined();
  expect(ownerOf('web', '-1')).toBeUndefined();
});

test('an image that is not here is a doubt, and one that runs as root is none', () => {
  expect(wantedOwner({ image: 'web', user: undefined }, undefined).doubt).toContain('pull it first');
  expect(wantedOwner({ image: 'web', user: undefined }, imageWith('')).doubt).toBeUndefined();
});
