import type { WorkOptions } from '../work-options.ts';

export interface CheckOptions extends WorkOptions {
  /** 0 checks the structure only, 100 reads and verifies every byte. */
  readonly readDataPercent: number;
  /** Checks these only, with the data that they need, and not the rest of the repository. */
  readonly snapshotIds?: readonly string[] | undefined;
}

export interface CheckReport {
  readonly snapshots: number;
  readonly packs: number;
  readonly blobs: number;
  readonly bytesRead: number;
  /** Empty means: whole. Each line names the damaged thing. */
  readonly errors: readonly string[];
  /** Harmless leftovers, such as packs that an interrupted backup left. */
  readonly notes: readonly string[];
  /** Ids of the snapshots that can't be restored whole. */
  readonly damagedSnapshots: readonly string[];
  /** Ids of the others: as far as was looked, they can be restored whole. */
  readonly wholeSnapshots: readonly string[];
}
