import type { Snapshot } from '../model/snapshot.ts';
import { safetyTag } from './find-snapshot.ts';

/** Snapshots that rules are applied to as one. */
export interface SnapshotGroup {
  /** The volume's name, its absolute path, or the paths that another program saved. */
  readonly name: string;
  readonly hostname: string;
  /** What restores saved before they replaced data: such snapshots do not take the place of backups. */
  readonly isSafety: boolean;
  readonly snapshots: readonly Snapshot[];
}

/** By the volume's identity, whatever its machine is called; those of other programs by machine and paths. */
export function groupSnapshots(snapshots: readonly Snapshot[]): SnapshotGroup[] {
  const groups = new Map<string, Snapshot[]>();
  for (const snapshot of snapshots) {
    const key = groupKey(snapshot);
    const group = groups.get(key);
    if (group) group.push(snapshot);
    else groups.set(key, [snapshot]);
  }
  return [...groups.values()].map(describeGroup);
}

export function groupKey(snapshot: Snapshot): string {
  const { volume, hostname, paths } = snapshot;
  return JSON.stringify([
    isSafety(snapshot),
    ...(volume === undefined ? [hostname, ...paths.toSorted()] : [volume.identity]),
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
