import type { Volume } from './volume.ts';

/** An ordinary local volume that nobody uses, but for what is given. */
export function someVolume(name: string, given: Partial<Volume> = {}): Volume {
  return {
    name,
    driver: 'local',
    mountpoint: undefined,
    createdAt: undefined,
    labels: {},
    options: {},
    scope: 'local',
    anonymous: false,
    stack: undefined,
    consumers: [],
    ...given,
  };
}
