import type { Snapshot } from '../model/snapshot.ts';
import { safetyTag } from './find-snapshot.ts';
import type { OwnTest } from './own-snapshots.ts';

/** Snapshots that rules apply to together. */
export interface SnapshotGroup {
  /** The volume's name, its absolute path, or the paths that another program saved. */
  readonly name: string;
  readonly hostname: string;
  /** Safety snapshots, which are kept apart so that they do not displace backups. */
  readonly isSafety: boolean;
  readonly snapshots: readonly Snapshot[];
}

/**
 * Groups by the volume's identity, whatever its machine is called; other programs' snapshots by machine and
 * paths. Each machine's snapshots of one lineage are a group of their own; `isOwn` says which count as this
 * machine's.
 */
export function groupSnapshots(snapshots: readonly Snapshot[], isOwn?: OwnTest): SnapshotGroup[] {
  const groups = new Map<string, Snapshot[]>();
  for (const snapshot of snapshots) {
    const key = groupKey(snapshot, isOwn);
    const group = groups.get(key);
    if (group) group.push(snapshot);
    else groups.set(key, [snapshot]);
  }
  return [...groups.values()].map(describeGroup);
}

export function groupKey(snapshot: Snapshot, isOwn: OwnTest = () => true): string {
  const { volume, hostname, paths } = snapshot;
  return JSON.stringify([
    isSafety(snapshot),
    ...(volume === undefined
      ? [hostname, ...paths.toSorted()]
      : [volume.identity, isOwn(snapshot) ? '' : volume.host.identity]),
  ]);
}

function isSafety({ tags }: Snapshot): boolean {
  return tags.includes(safetyTag);
}

/** Named after the newest. */
function describeGroup(snapshots: readonly Snapshot[]): SnapshotGroup {
  const newest = snapshots.reduce((a, b) => (Date.parse(b.time) >= Date.parse(a.time) ? b : a));
  return {
    name: newest.volume?.name ?? newest.paths.join(', '),
    hostname: newest.volume?.host.name ?? newest.hostname,
    isSafety: isSafety(newest),
    snapshots,
  };
}
