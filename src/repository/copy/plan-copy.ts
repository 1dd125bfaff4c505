import type { SnapshotJson } from '../format/snapshot-file.ts';

export type SnapshotRecords = ReadonlyMap<string, SnapshotJson>;

export interface CopyPlan {
  /** Oldest first. */
  readonly copy: readonly (readonly [id: string, json: SnapshotJson])[];
  readonly present: readonly { readonly id: string; readonly json: SnapshotJson; readonly newId: string }[];
}

/** Tells which snapshots the target has already, by restic's rule: of the same origin, and alike but for that; pure. */
export function planCopy(source: SnapshotRecords, target: SnapshotRecords): CopyPlan {
  const byOrigin = new Map<string, string[]>();
  for (const [id, { original }] of target)
    for (const origin of new Set([id, original ?? id]))
      byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), id]);
  const copy: [string, SnapshotJson][] = [];
  const present: { id: string; json: SnapshotJson; newId: string }[] = [];
  for (const [id, json] of [...source].sort(([, a], [, b]) => Date.parse(a.time) - Date.parse(b.time))) {
    const newId = byOrigin.get(json.original ?? id)?.find((other) => isAlike(json, target.get(other)));
    if (newId === undefined) copy.push([id, json]);
    else present.push({ id, json, newId });
  }
  return { copy, present };
}

/** Everything but the parent and the origin must be the same: one whose tags changed is copied again. */
function isAlike(a: SnapshotJson, b: SnapshotJson | undefined): boolean {
  return b !== undefined && essence(a) === essence(b);
}

function essence(json: SnapshotJson): string {
  const { time, tree, hostname = '', username = '', uid = 0, gid = 0, paths, excludes, tags } = json;
  const lists = [[...paths].sort(), excludes ?? [], [...(tags ?? [])].sort()];
  return JSON.stringify([Date.parse(time), tree, hostname, username, uid, gid, ...lists]);
}
