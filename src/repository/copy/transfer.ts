import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { TransferredPack, TransferResult, TransferTask, TransferWorkerData } from './transfer-task.ts';

export interface TransferOptions extends TransferWorkerData {
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
