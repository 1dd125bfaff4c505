import { AsyncLocalStorage } from 'node:async_hooks';
import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { makeProofKey } from '../../lib/keyed-proof.ts';
import { workerModule } from '../../lib/worker-module.ts';
import { type RunOptions, WorkerPool } from '../workers/worker-pool.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { idWords } from '../blob-index/blob-print.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { BlobTables } from '../blob-index/blob-tables.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { BlobType } from '../pack/pack-header.ts';
import type { StoreAddress } from '../stores/address.ts';
import type { ZeroCuts } from './file-holes.ts';
import type {
  NewTableNotice,
  PackStoredEvent,
  SaveTask,
  SaveTaskResult,
  SaveWorkerData,
  SegmentBoundary,
} from './save-task.ts';
import { type ZeroChunks, zeroChunksOf } from './zero-chunks.ts';

export interface SchedulerOptions {
  readonly workerData: Omit<SaveWorkerData, 'tables' | 'proofKey'>;
  readonly tables: BlobTables;
  readonly onPack: (pack: IndexEntry) => void;
  readonly signal: AbortSignal | undefined;
}

/** What saving needs to know of an open repository. */
export interface SaveContext {
  readonly codec: FileCodec;
  readonly index: BlobIndex;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly polynomial: bigint;
}

export type LockedContext = SaveContext & { readonly lock: Pick<RepositoryLock, 'assertHeld'> };

/** Starts the workers that save into an open repository. */
export function openScheduler(
  { address: store, masterKey, polynomial, index }: SaveContext,
  { dryRun, onPack, signal }: Pick<SchedulerOptions, 'onPack' | 'signal'> & { readonly dryRun: boolean },
): SaveScheduler {
  const workerData = { store, masterKey, polynomial, dryRun };
  return new SaveScheduler({ workerData, tables: index.tables, onPack, signal });
}

/** Hashing up to this size takes no longer than sending it to a worker. */
const smallBlobBytes = 32 * 1024;

interface SaveBlobOptions {
  readonly giveAway?: boolean;
}

/** What was stored for one of several snapshots that are saved together. */
export interface StoredCount {
  addedBytes: number;
  storedBytes: number;
}

/** Gives work to the save workers, bounds the work under way, and adds up what they stored. */
export class SaveScheduler implements AsyncDisposable {
  readonly #pool: WorkerPool<SaveTask, SaveTaskResult, SegmentBoundary, PackStoredEvent, NewTableNotice>;
  readonly #options: SchedulerOptions;
  readonly #proofKey = makeProofKey();
  readonly #zeroChunks = new Map<string, Promise<ZeroChunks>>();
  readonly #waiting: (() => void)[] = [];
  readonly #limit: number;
  #failure: AppError | undefined;
  #lastDone = 0;
  #asked = 0;
  readonly #counters = new AsyncLocalStorage<StoredCount>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const workers = Math.max(1, Math.min(8, availableParallelism()));
    this.#limit = workers * 8;
    this.#pool = new WorkerPool({
      module: workerModule('./save-worker', import.meta.url),
      workers,
      workerData: {
        ...options.workerData,
        tables: options.tables.shared,
        proofKey: this.#proofKey,
      } satisfies SaveWorkerData,
      onEvent: ({ pack }) => options.onPack(pack),
    });
  }

  /** Why nothing more can be stored; undefined while it can. */
  get failure(): AppError | undefined {
    return this.#failure;
  }

  /**
   * Waits until there is room for more work. Throws when work has failed or is cancelled, so that a walk ends
   * early.
   */
  async room(): Promise<void> {
    this.#throwIfOver();
    while (this.#pool.load >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#throwIfOver();
    }
  }

  /** Adds what this work stores to a count, including what its unfinished tasks store later. */
  async countingInto<T>(count: StoredCount, work: () => Promise<T>): Promise<T> {
    return await this.#counters.run(count, work);
  }

  async run(task: SaveTask, options?: RunOptions<SegmentBoundary>): Promise<SaveTaskResult> {
    const count = this.#counters.getStore();
    if (this.#pool.load + this.#asked === 0) this.#lastDone = performance.now();
    try {
      const result = await this.#pool.run(task, options);
      if (count !== undefined) {
        count.addedBytes += result.addedBytes;
        count.storedBytes += result.storedBytes;
      }
      const table = this.#options.tables.grow();
      if (table) this.#pool.notify({ table });
      return result;
    } catch (error) {
      // A file that cannot be read fails with a system error, which the caller reports; any other error ends
      // the backup.
      if (errnoOf(error) !== undefined) throw error;
      this.#failure ??= knownError(error);
      throw this.#failure;
    } finally {
      this.#lastDone = performance.now();
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /**
   * Stores a tree. With `giveAway` its buffer is transferred instead of copied, if it has an ArrayBuffer of
   * its own, and this thread loses it.
   */
  async saveTree(text: Uint8Array, options: SaveBlobOptions = {}): Promise<string> {
    return await this.saveBlob(text, 'tree', options);
  }

  /**
   * Stores one blob, always by the same worker, so that trees share packs. A small known blob is found here:
   * a backup of unchanged data starts no worker.
   */
  async saveBlob(content: Uint8Array, type: BlobType, { giveAway }: SaveBlobOptions = {}): Promise<string> {
    if (content.length <= smallBlobBytes) {
      const id = hash('sha256', content, 'hex');
      if (this.#options.tables.has(idWords(id), type)) return id;
    }
    const { ids } = await this.run(
      { kind: 'blobs', type, content, lengths: [content.length] },
      { pinTo: 0, ...(giveAway === true && { transfer: [content.buffer as ArrayBuffer] }) },
    );
    return ids[0] ?? '';
  }

  /** Stores a chunk of zeros, and returns the chunks of that many units. */
  async zeroChunks(cuts: ZeroCuts, units: number): Promise<ZeroChunks> {
    const { chunkBytes } = cuts;
    const key = `${chunkBytes}:${units}`;
    const known = this.#zeroChunks.get(key);
    if (known !== undefined) return await known;
    const made = this.saveBlob(new Uint8Array(chunkBytes), 'data').then((id) =>
      zeroChunksOf(id, { cuts, units, proofKey: this.#proofKey }),
    );
    this.#zeroChunks.set(key, made);
    return await made;
  }

  /** Waits until uploads under way have arrived. Packs that are not full stay open. */
  async drain(): Promise<void> {
    await Promise.all(this.#pool.started.map((pinTo) => this.run({ kind: 'drain' }, { pinTo })));
  }

  /** For how long no work under way has ended, in milliseconds; 0 when there is none. */
  stalledForMs(): number {
    return this.#pool.load + this.#asked === 0 ? 0 : performance.now() - this.#lastDone;
  }

  /** Counts other work that may wait for the store as work under way. */
  async counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#pool.load + this.#asked === 0) this.#lastDone = performance.now();
    this.#asked++;
    try {
      return await work();
    } catch (error) {
      this.#failure ??= knownError(error);
      throw error;
    } finally {
      this.#asked--;
      this.#lastDone = performance.now();
    }
  }

  /** Stores the partly filled packs of all workers. */
  async flush(): Promise<void> {
    await Promise.all(this.#pool.started.map((pinTo) => this.run({ kind: 'flush' }, { pinTo })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#options.signal?.aborted) throw new AppError('cancelled', 'The backup was stopped');
  }
}
