import { awaitedLater } from '../../lib/awaited-later.ts';
import { isAppError } from '../../model/errors.ts';
import { blobsPerIndexFile, type IndexEntry, saveIndexEntries } from '../blob-index/index-file.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { SaveScheduler } from './save-scheduler.ts';

/** Packs are indexed at this interval, so that after a kill the next backup need not store them again. */
const saveEveryMs = 20_000;

/** Collects durable packs and writes the index files that name them. */
export class PackRecorder {
  readonly #codec: FileCodec;
  readonly #lock: Pick<RepositoryLock, 'assertHeld'> | undefined;
  #packs: IndexEntry[] = [];
  #blobs = 0;
  #lastSaved = performance.now();
  #saving: Promise<unknown> = Promise.resolve();

  /** Without the lock, another program may have removed packs as leftovers: then no index may name them. */
  constructor(codec: FileCodec, lock?: Pick<RepositoryLock, 'assertHeld'>) {
    this.#codec = codec;
    this.#lock = lock;
  }

  add(pack: IndexEntry): void {
    this.#packs.push(pack);
    this.#blobs += pack.blobCount;
    if (this.#blobs < blobsPerIndexFile && performance.now() - this.#lastSaved < saveEveryMs) return;
    this.#saving = Promise.all([this.#saving, this.#save()]);
    // `finish` reports the error.
    awaitedLater(this.#saving);
  }

  /** On return every pack is in a durable index file. */
  async finish(): Promise<void> {
    await Promise.all([this.#saving, this.#save()]);
  }

  async #save(): Promise<void> {
    const packs = this.#packs;
    if (packs.length === 0) return;
    this.#packs = [];
    this.#blobs = 0;
    this.#lastSaved = performance.now();
    await this.#lock?.assertHeld();
    await saveIndexEntries(this.#codec, packs);
  }
}

/** After a cancel or a failure, indexes what is already stored, so that the next run continues from it. */
export async function keepOnFailure<T>(
  recorder: PackRecorder,
  scheduler: Pick<SaveScheduler, 'flush'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The user must see the error that ended the backup; flushing here only saves work for the next run.
    if (isAppError(error, 'cancelled')) await scheduler.flush().catch(() => undefined);
    await recorder.finish().catch(() => undefined);
    throw error;
  }
}
