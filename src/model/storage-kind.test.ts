import { expect, test } from 'vitest';
import { storageKind } from './storage-kind.ts';

test.each([
  ['', {}, 'local'],
  ['local', { type: 'tmpfs', device: 'tmpfs' }, 'tmpfs'],
  ['local', { type: 'none', o: 'bind', device: '/srv' }, 'bind'],
  ['holdfast', { type: 'luks', size: '1g' }, 'luks'],
  ['', { type: 'nfs4', device: ':/x' }, 'nfs'],
  ['', { type: 'btrfs' }, 'btrfs'],
  ['', { type: 'btrfs', device: '/dev/sdb' }, 'block'],
  ['block', { type: 'xfs', device: '/dev/sdb' }, 'block'],
])('driver "%s" with %j is %s', (driver, options, kind) => {
  expect(storageKind({ driver, options })).toBe(kind);
});

test.each([
  ['flocker', {}, 'unsupported', 'There is no driver "flocker"'],
  ['', { type: 'ntfs' }, 'usage', 'There is no type "ntfs" of volumes'],
  ['', { type: 'constructor' }, 'usage', 'There is no type "constructor" of volumes'],
])('driver "%s" with %j is refused', (driver, options, code, message) => {
  expect(() => storageKind({ driver, options })).toThrow(expect.objectContaining({ code, message }) as Error);
});
