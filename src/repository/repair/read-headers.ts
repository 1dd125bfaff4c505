import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import type { StoredFile } from '../stores/store.ts';
import type { HeaderResult, HeaderTask, HeaderTaskResult } from './header-task.ts';
import { type RepairWork, tellProgress, throwIfStopped } from './repair-work.ts';

/** Packs of one task. */
const batchSize = 16;

/** Reads the headers of packs with several workers, and tells each; in no order, one after the other. */
export async function readHeaders(
  work: RepairWork,
  packs: readonly StoredFile[],
  onHeader: (header: HeaderResult) => Promise<void>,
): Promise<void> {
  if (packs.length === 0) return;
  const batches = Array.from({ length: Math.ceil(packs.length / batchSize) }, (_, i) =>
    packs.slice(i * batchSize, (i + 1) * batchSize),
  ).values();
  const workers = Math.max(1, Math.min(8, availableParallelism(), Math.ceil(packs.length / batchSize)));
  await using pool = new WorkerPool<HeaderTask, HeaderTaskResult>({
    module: workerModule('./header-worker', import.meta.url),
    workers,
    workerData: { store: work.address, masterKey: work.masterKey } satisfies RestoreWorkerData,
  });
  let done = 0;
  let telling = Promise.resolve();
  const tellAll = async (headers: readonly HeaderResult[]): Promise<void> => {
    for (const header of headers) await onHeader(header);
    done += headers.length;
    tellProgress(work, { phase: 'reading headers', done, total: packs.length });
  };
  const readNext = async (): Promise<void> => {
    for (const batch of batches) {
      throwIfStopped(work);
      const { headers } = await pool.run({ packs: batch });
      telling = telling.then(() => tellAll(headers));
      await telling;
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
}
