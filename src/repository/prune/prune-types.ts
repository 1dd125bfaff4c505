import type { UnusedLimit } from '../../model/unused-limit.ts';
import type { WorkOptions } from '../work-options.ts';

export interface PruneLimits {
  readonly maxUnused: UnusedLimit;
  /** At most this much is read and written again; undefined is as much as it takes. */
  readonly maxRepackBytes: number | undefined;
}

/** A number of things and their bytes as they are stored. */
export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

/** What a prune finds, and what it does about it. */
export interface PruneSummary {
  /** All packs that are stored. */
  readonly packs: Amount;
  /** Blobs that a snapshot needs, each once. */
  readonly used: Amount;
  /** Blobs that no snapshot needs, and further copies of those that one does. */
  readonly unused: Amount;
  /** The part of `unused` that is further copies. */
  readonly duplicates: Amount;
  /** Packs of which nothing is used: they are removed. */
  readonly remove: Amount;
  /** Packs that no index names, as a backup that was killed leaves them: they are removed. */
  readonly unreferenced: Amount;
  /** Packs of which a part is used: it is copied into new packs, and they are removed. */
  readonly repack: Amount;
  /** Bytes that are free afterwards. */
  readonly freedBytes: number;
  /** Bytes that are not used and stay, within the limits. */
  readonly unusedAfterBytes: number;
}

export interface PruneOptions extends WorkOptions, PruneLimits {}
