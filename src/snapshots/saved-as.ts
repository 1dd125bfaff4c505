import type { Snapshot } from '../model/snapshot.ts';

/**
 * The snapshot that was saved under an id, whatever its id is now: a change of tags gives it another, and so
 * does a repair. Prefers one from which nothing is missing; pure.
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
