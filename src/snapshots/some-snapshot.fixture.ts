import type { Snapshot } from '../model/snapshot.ts';

/** A snapshot of the volume `pg`, unless more is said. */
export function someSnapshot(
  given: Partial<Snapshot> & Pick<Snapshot, 'id' | 'time'> & { readonly identity?: string },
): Snapshot {
  const { identity = 'identity-of-pg', ...rest } = given;
  return {
    tags: [],
    hostname: 'here',
    name: 'pg',
    paths: ['/volume/pg'],
    parent: undefined,
    grade: 'cold',
    volume: {
      kind: 'volume',
      name: 'pg',
      identity,
      host: { kind: 'embedded', identity: 'host', name: 'here' },
      driver: 'local',
      options: {},
      labels: {},
      anonymous: false,
      consumers: [],
    },
    summary: undefined,
    problemCount: 0,
    programVersion: undefined,
    ...rest,
  };
}
