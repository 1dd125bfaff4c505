import { expect, test } from 'vitest';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import type { ManagedVolume, ManagedVolumes, VolumeHealth } from '../../volumes/index.ts';
import { diagnoseManaged } from './managed.ts';

test.each([
  ['degraded', ['backup']],
  ['unreachable', []],
  ['failed', ['restore']],
] as const)('a volume that is %s has the commands %j after that for its health', async (status, expected) => {
  const volume: ManagedVolume = {
    ...someVolume('secret'),
    mountpoint: '/srv/secret',
    kind: 'luks',
    isProtected: false,
    mountIds: [],
    isMounted: true,
  };
  const health: VolumeHealth = { status, message: 'its key is gone', checkedAt: undefined };
  const managed: Pick<ManagedVolumes, 'list' | 'health' | 'room'> = {
    list: async () => [volume],
    health: async () => health,
    room: async () => {
      throw new Error('not asked');
    },
  };
  const { findings } = await diagnoseManaged(managed, new Map(), () => true);
  const [first, ...others] = findings[0]?.commands ?? [];
  expect(first).toEqual(['holdfast', 'volume', 'health', 'secret']);
  expect(others).toEqual(expected.map((command) => ['holdfast', command, 'secret']));
});
