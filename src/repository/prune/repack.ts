import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { AppError } from '../../model/errors.ts';
import type { IndexedPack, IndexEntry } from '../blob-index/index-file.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { PackRecorder } from '../save/pack-recorder.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { type PruneWork, readIndexFiles } from './rewrite-index.ts';

/**
 * Copies the used blobs of some packs into new ones. On return the new packs are durable and indexed; the old
 * packs still exist and are indexed, too.
 */
export async function repack(work: PruneWork, packIds: ReadonlySet<string>): Promise<void> {
  if (packIds.size === 0) return;
  const recorder = new PackRecorder(work.codec, work.lock);
  const workers = Math.max(1, Math.min(8, availableParallelism(), packIds.size));
  await using pool = new WorkerPool<RepackTask, RepackTaskResult, never, PackStoredEvent>({
    module: workerModule('./repack-worker', import.meta.url),
    workers,
    workerData: { store: work.address, masterKey: work.masterKey } satisfies RestoreWorkerData,
    onEvent: ({ pack }) => recorder.add(pack),
  });
  const told = new RepackProgress(work, packIds.size);
  const tasks = copyTasks(work, packIds);
  const copyNext = async (): Promise<void> => {
    for await (const task of tasks) told.add(await pool.run(task));
  };
  await Promise.all(Array.from({ length: workers * 2 }, copyNext));
  await Promise.all(pool.started.map((pinTo) => pool.run({ kind: 'flush' }, { pinTo })));
  await recorder.finish();
}

/** A task for each pack, one index file after another: only the packs of one are in memory. */
async function* copyTasks(work: PruneWork, packIds: ReadonlySet<string>): AsyncGenerator<RepackTask> {
  const left = new Set(packIds);
  for await (const { packs } of readIndexFiles(work)) {
    for (const pack of packs) {
      if (!left.delete(pack.id)) continue;
      if (work.signal?.aborted) throw new AppError('cancelled', 'The prune was stopped');
      await work.lock.assertHeld();
      yield { kind: 'copy', packId: pack.id, blobs: keptBlobs(work, pack) };
    }
    if (left.size === 0) return;
  }
}

function keptBlobs({ index, marks }: PruneWork, pack: IndexedPack): IndexedPack['blobs'] {
  const number = index.packNumber(pack.id) ?? -1;
  return pack.blobs.filter((blob) => {
    const slot = index.slotOf(blob.id, blob.type);
    return marks.isKeptIn(slot, number) && marks.copy(slot);
  });
}

class RepackProgress {
  readonly #work: PruneWork;
  readonly #packs: number;
  #packsDone = 0;
  #bytes = 0;

  constructor(work: PruneWork, packs: number) {
    this.#work = work;
    this.#packs = packs;
  }

  add({ bytes }: RepackTaskResult): void {
    this.#bytes += bytes;
    this.#work.onProgress?.({
      phase: 'repacking',
      filesDone: ++this.#packsDone,
      filesTotal: this.#packs,
      bytesDone: this.#bytes,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}

export type RepackTask =
  /** Copies these blobs of a pack into new packs. */
  | { readonly kind: 'copy'; readonly packId: string; readonly blobs: readonly BlobPlace[] }
  /** Stores the partly filled packs. */
  | { readonly kind: 'flush' };

export interface RepackTaskResult {
  /** Copied blobs, and their stored bytes. */
  readonly blobs: number;
  readonly bytes: number;
}

/** A new pack is durable. */
export interface PackStoredEvent {
  readonly pack: IndexEntry;
}
