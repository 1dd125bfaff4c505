import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import { WorkerPool } from '../workers/worker-pool.ts';

interface TransferOptions extends TransferWorkerData {
  /** Called when a pack is durable. */
  readonly onPack: (pack: IndexEntry) => void;
}

/** Workers that copy blobs into new packs. What is under way is bounded by those who wait for `run`. */
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

  /** How many may wait for `run` at once without a worker ever having to wait for them. */
  get lanes(): number {
    return this.#pool.size * 2;
  }

  /** When it returns, the blobs are on their way into packs; they are durable after `flush`. */
  async run(packId: string, blobs: readonly BlobPlace[]): Promise<TransferResult> {
    return await this.#pool.run({ kind: 'transfer', packId, blobs });
  }

  /** When it returns, every pack is durable and told. */
  async flush(): Promise<void> {
    await Promise.all(this.#pool.started.map((pinTo) => this.#pool.run({ kind: 'flush' }, { pinTo })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}

/** A store with the key that opens what is in it. */
interface Side {
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
