import type { Snapshot } from '../../model/snapshot.ts';
import type { WorkOptions } from '../work-options.ts';

export interface StatsOptions extends WorkOptions {
  /** Each oldest first. */
  readonly groups: readonly (readonly Snapshot[])[];
}

/** How much a group of snapshots holds, such as those of one volume. */
export interface GroupStats {
  readonly snapshots: number;
  /** Bytes that restoring the newest of them writes. */
  readonly newestBytes: number;
  /** Bytes that restoring each of them would write, together. */
  readonly restorableBytes: number;
  /** Blobs that they need, each once. */
  readonly blobs: number;
  /** Their bytes before compression, and as they are stored. */
  readonly uncompressedBytes: number;
  readonly storedBytes: number;
  /** The part of `storedBytes` that no other group needs: what would be freed without them. */
  readonly ownBytes: number;
}

export interface RepositoryStats {
  readonly packs: number;
  /** Size of all packs. */
  readonly packBytes: number;
  /** Size of all index files. */
  readonly indexBytes: number;
  /** Everything that some group needs, each blob once. */
  readonly total: Omit<GroupStats, 'newestBytes' | 'ownBytes'>;
  /** In the order in which they were asked for. */
  readonly groups: readonly GroupStats[];
}
