import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import { WorkerPool } from '../workers/worker-pool.ts';

interface TransferOptions extends TransferWorkerData {
  readonly onPack: (pack: IndexEntry) => void;
}

/** Workers that copy blobs into new packs. Callers of `run` bound the work under way by awaiting it. */
export class Transfer implements AsyncDisposable {
  readonly #pool: WorkerPool<TransferTask, TransferResult, never, TransferredPack>;

  constructor({ onPack, ...workerData }: TransferOptions) {
    this.#pool = new WorkerPool({
      module: workerModule('./transfer-worker', import.meta.url),
      workers: Math.max(1, Math.min(8, availableParallelism())),
      workerData: workerData satisfies TransferWorkerData,
      onEvent: ({ pack }) => onPack(pack),
    });
  }

  /** How many concurrent calls of `run` keep every worker busy. */
  get lanes(): number {
    return this.#pool.size * 2;
  }

  /** On return the blobs are being packed; they are durable after `flush`. */
  async run(packId: string, blobs: readonly BlobPlace[]): Promise<TransferResult> {
    return await this.#pool.run({ kind: 'transfer', packId, blobs });
  }

  /** On return every pack is durable and reported. */
  async flush(): Promise<void> {
    await Promise.all(this.#pool.started.map((pinTo) => this.#pool.run({ kind: 'flush' }, { pinTo })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}

/** A store with the key that opens its content. */
interface Side {
  readonly store: StoreAddress;
  readonly masterKey: MasterKey;
}

/** The data with which a transfer worker is started. Both sides may be the same repository. */
export interface TransferWorkerData {
  readonly source: Side;
  readonly target: Side;
  /** Reads and verifies, and stores nothing. */
  readonly dryRun: boolean;
}

export type TransferTask =
  /** Copies blobs of one pack into new packs. */
  | { readonly kind: 'transfer'; readonly packId: string; readonly blobs: readonly BlobPlace[] }
  /** Stores the partly filled packs. */
  | { readonly kind: 'flush' };

/** A blob that is damaged or cannot be read. */
export interface FailedBlob {
  readonly id: string;
  readonly type: 'data' | 'tree';
  readonly message: string;
  /** False when the store failed to return it, which may work another time. */
  readonly isDamaged: boolean;
}

export interface TransferResult {
  readonly copied: number;
  /** Stored size in the target. */
  readonly bytes: number;
  readonly failed: readonly FailedBlob[];
}

export interface TransferredPack {
  readonly pack: IndexEntry;
}
