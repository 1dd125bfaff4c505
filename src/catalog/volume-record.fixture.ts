import type { EmbeddedVolumeRecord, VolumeHold } from './catalog.ts';

export const volumeRecord: EmbeddedVolumeRecord = {
  name: 'pg',
  driver: 'local',
  createdAt: '2026-01-31T12:00:00Z',
  labels: { tier: 'db' },
  options: {},
  anonymous: false,
};

export const volumeHold: VolumeHold = {
  volume: 'pg',
  id: 'c1',
  boot: 'b1',
  heldAt: '2026-01-31T12:00:00.000Z',
};
