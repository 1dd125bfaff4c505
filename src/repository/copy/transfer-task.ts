import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoreAddress } from '../stores/open-store.ts';

/** A store with the key that opens what is in it. */
export interface Side {
  readonly store: StoreAddress;
  readonly masterKey: MasterKey;
}

/** What a transfer worker is started with. Both sides may be the same repository. */
export interface TransferWorkerData {
  readonly source: Side;
  readonly target: Side;
  /** Reads and verifies, and stores nothing. */
  readonly dryRun: boolean;
}

export type TransferTask =
  /** Copies blobs of one pack into new packs. */
  | { readonly kind: 'transfer'; readonly packId: string; readonly blobs: readonly BlobPlace[] }
  /** Stores the packs that are not full. */
  | { readonly kind: 'flush' };

/** A blob that is not what it should be, or cannot be read. */
export interface FailedBlob {
  readonly id: string;
  readonly type: 'data' | 'tree';
  readonly message: string;
  /** False when the store fails to give it: another time it may. */
  readonly isDamaged: boolean;
}

export interface TransferResult {
  readonly copied: number;
  /** As they are stored in the target. */
  readonly bytes: number;
  readonly failed: readonly FailedBlob[];
}

export interface TransferredPack {
  readonly pack: IndexEntry;
}
