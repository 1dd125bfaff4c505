import type { IndexEntry } from '../blob-index/index-file.ts';
import type { BlobPlace } from '../pack/pack-header.ts';

export type RepackTask =
  /** Copies these blobs of a pack into new packs. */
  | { readonly kind: 'copy'; readonly packId: string; readonly blobs: readonly BlobPlace[] }
  /** Stores the packs that are not full. */
  | { readonly kind: 'flush' };

export interface RepackTaskResult {
  /** Blobs that were copied, and their stored bytes. */
  readonly blobs: number;
  readonly bytes: number;
}

/** A new pack is durable. */
export interface PackStoredEvent {
  readonly pack: IndexEntry;
}
