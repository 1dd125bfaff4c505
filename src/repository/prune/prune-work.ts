import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { Progress } from '../types.ts';
import type { BlobMarks } from './blob-marks.ts';

/** What the steps of a prune share. */
export interface PruneWork {
  readonly codec: FileCodec;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  /** Asked before each step that cannot be taken back. */
  readonly lock: Pick<RepositoryLock, 'assertHeld'>;
  /** The index files that were there at the beginning. */
  readonly indexFiles: readonly string[];
  readonly index: BlobIndex;
  readonly marks: BlobMarks;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}
