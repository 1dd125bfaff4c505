/**
 * Which snapshots there are, whose they are and in which order, and what is in them: ls, diff, dump, find.
 * Reads only. Begin with `reading.ts`; the meaning of "latest" is in `known-order.ts`.
 */
export { chooseSnapshots } from './choose-snapshots.ts';
export { compareTrees, type Change } from './compare-trees.ts';
export { dataOnly } from './data-only.ts';
export { compareSnapshotWithLive } from './diff.ts';
export { tarSources } from './dump.ts';
export {
  doubtNotes,
  findSnapshot,
  isFuture,
  isNamedById,
  knownMs,
  lineage,
  machineOf,
  ownOf,
  safetyTag,
  targetName,
  versionMeant,
  type FindContext,
} from './find-snapshot.ts';
export { findEntries, type FindRequest, type FoundEntry } from './find.ts';
export { groupKey, groupSnapshots, type SnapshotGroup } from './group-snapshots.ts';
export { listInKnownOrder } from './known-order.ts';
export { nameNow } from './name-now.ts';
export { machineNames, ofNamesakes, takeOverHint } from './namesakes.ts';
export { ownTest, type OwnTest } from './own-snapshots.ts';
export { explainContainerPath } from './path-in-container.ts';
export type * from './reading.ts';
export { openSnapshots } from './reading.ts';
export { findSavedAs, isSavedAs } from './saved-as.ts';
export { orderSnapshots, type TimeDoubt } from './snapshot-order.ts';
export {
  findContext,
  noteDamaged,
  openSnapshot,
  type FullContext,
  type ListedSnapshot,
  type SnapshotFilter,
} from './snapshots.ts';
export { openSources, type SnapshotAccess, type SnapshotSources } from './sources.ts';
export { measureStats, type StatsReport, type VolumeStats } from './stats.ts';
export { placeOf, takeOverByName, type Place } from './take-over.ts';
