import type { Snapshot } from '../model/snapshot.ts';

/**
 * What was saved under an id, whatever id it has now: a change of its tags gives it another, and so does a repair. Where
 * there are several, one from which nothing is missing goes before others; pure.
 */
export function findSavedAs(id: string, snapshots: readonly Snapshot[]): Snapshot | undefined {
  const same = snapshots.find((snapshot) => snapshot.id === id);
  if (same !== undefined) return same;
  const later = snapshots.filter(({ original }) => original === id);
  return later.findLast(({ problemCount }) => problemCount === 0) ?? later.at(-1);
}

/** True for each that was saved under one of these ids; pure. */
export function isSavedAs({ id, original }: Snapshot, ids: ReadonlySet<string>): boolean {
  return ids.has(id) || (original !== undefined && ids.has(original));
}
