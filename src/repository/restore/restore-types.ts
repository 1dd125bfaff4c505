import type { ByteString } from '../../model/byte-string.ts';
import type { OwnerMap } from '../../model/owner-map.ts';
import type { SaveProblem, Snapshot } from '../../model/snapshot.ts';
import type { WorkOptions } from '../work-options.ts';

export interface RestoreOptions extends WorkOptions {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root; '' is all of it. A file is restored as TARGET itself. */
  readonly path: ByteString;
  /** Below the folder of what its containers need, see `SaveOptions.config`, instead of the data. */
  readonly inConfig?: boolean | undefined;
  /** Must not exist, or be an empty directory: restoring never merges. */
  readonly target: ByteString;
  /** What messages call it, where its path would say nothing to people. */
  readonly shownAs?: string | undefined;
  /** Other owners than those that were saved. */
  readonly mapOwner?: OwnerMap | undefined;
  /** A directory that is likely to have the same files: what they have in common is taken from there, verified. It is only read. */
  readonly like?: ByteString | undefined;
}

export interface RestoreResult {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  /** So much was taken from `like`. */
  readonly bytesTaken?: number | undefined;
  /** Metadata that this process may not set (owner without the right, trusted xattrs), one line each. */
  readonly problems: readonly SaveProblem[];
}
