import type { Snapshot } from '../../model/snapshot.ts';
import type { WorkOptions } from '../work-options.ts';
import type { SnapshotEntry } from '../snapshots/snapshot-types.ts';

export interface FindOptions extends WorkOptions {
  /** The answers come in this order. */
  readonly snapshots: readonly Snapshot[];
  /** Asked for each entry; its path is below the snapshot's data root. */
  readonly matches: (entry: SnapshotEntry) => boolean;
  /** True when `matches` does not ask where an entry lies: trees that snapshots share are then searched once only. */
  readonly isAnywhere: boolean;
}
