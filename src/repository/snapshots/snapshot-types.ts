import type { AppError } from '../../model/errors.ts';
import type { Entry } from '../../model/entry.ts';
import type { WorkOptions } from '../work-options.ts';

export interface ListOptions extends WorkOptions {
  readonly onDamaged?: ((id: string, error: AppError) => void) | undefined;
  /** When a snapshot's record was written, by the store's clock, where the store says it; milliseconds since 1970. */
  readonly onStored?: ((id: string, storedMs: number) => void) | undefined;
}

/** An entry of a snapshot; its path is relative to where the walk began. */
export interface SnapshotEntry extends Entry {
  /** Equal for files of equal content and for directories of equal trees, within one repository. */
  readonly contentKey: string;
  /** Nanoseconds since 1970; 0 when unknown. */
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

export interface RemoveSnapshotsOptions extends WorkOptions {
  /** Ids of snapshots that must still be there: whoever chose what to remove did so because these stay. */
  readonly staying?: readonly string[] | undefined;
}

export interface TagChange {
  /** Replaces all tags, before those of `add` and `remove`. */
  readonly set?: readonly string[] | undefined;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}
