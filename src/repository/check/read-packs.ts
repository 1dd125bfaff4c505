import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import type { BlobIndex, PackRecord } from '../blob-index/blob-index.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import type { CheckOptions } from '../types.ts';
import { throwIfStopped } from './check-stopped.ts';
import type { CheckTask, CheckTaskResult } from './check-worker.ts';
import type { Losses } from './losses.ts';

export interface PackReading {
  readonly index: BlobIndex;
  /** What to read of. */
  readonly packs: readonly PackRecord[];
  readonly losses: Losses;
  readonly errors: string[];
  readonly options: CheckOptions;
  readonly workerData: RestoreWorkerData;
}

/** Reads a share of the packs, other ones each time, verifies every byte of them, and returns how many bytes it read. */
export async function readPacks(reading: PackReading): Promise<number> {
  const { index, packs, losses, errors, options, workerData } = reading;
  const present = packs.filter(({ id }) => !losses.packs.has(id));
  const chosen = sampleOf(present, Math.ceil((present.length * options.readDataPercent) / 100));
  if (chosen.length === 0) return 0;
  const workers = Math.max(1, Math.min(8, availableParallelism(), chosen.length));
  await using pool = new WorkerPool<CheckTask, CheckTaskResult>({
    module: workerModule('./check-worker', import.meta.url),
    workers,
    workerData,
  });
  const bytesTotal = chosen.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let bytesRead = 0;
  let packsRead = 0;
  const queue = chosen.values();
  const readNext = async (): Promise<void> => {
    for (const pack of queue) {
      throwIfStopped(options);
      const result = await pool.run({ packId: pack.id });
      const disagreements = result.errors.length > 0 ? [] : indexErrors(index, pack, result);
      if (result.isLost || disagreements.length > 0) losses.packs.add(pack.id);
      for (const id of result.damagedBlobs) losses.blobs.add(id);
      errors.push(...result.errors, ...disagreements);
      bytesRead += result.bytes;
      packsRead++;
      options.onProgress?.({
        phase: 'reading packs',
        filesDone: packsRead,
        filesTotal: chosen.length,
        bytesDone: bytesRead,
        bytesTotal,
        current: undefined,
      });
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
  return bytesRead;
}

/** Chosen by chance, so that a share that is checked every night covers everything in time. */
function sampleOf(packs: readonly PackRecord[], count: number): PackRecord[] {
  if (count >= packs.length) return [...packs];
  return packs
    .map((pack) => ({ pack, order: Math.random() }))
    .toSorted((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ pack }) => pack);
}

/** The index must say of a pack what its own header says. */
function indexErrors(index: BlobIndex, pack: PackRecord, { blobs }: CheckTaskResult): string[] {
  const name = pack.id.slice(0, 8);
  if (pack.blobCount !== blobs.length)
    return [`The index says that pack "${name}" holds ${pack.blobCount} blobs, and it holds ${blobs.length}`];
  return blobs
    .filter((blob) => {
      const place = index.find(blob.id, blob.type);
      // A blob that is stored twice has its first place in the index.
      return (
        !place || (place.packId === pack.id && (place.offset !== blob.offset || place.length !== blob.length))
      );
    })
    .map((blob) => `The index does not agree with pack "${name}" about blob "${blob.id.slice(0, 8)}"`);
}
