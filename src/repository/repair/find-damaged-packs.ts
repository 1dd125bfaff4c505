import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import type { CheckTask, CheckTaskResult } from '../check/check-worker.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { type RepairWork, tellProgress, throwIfStopped } from './repair-work.ts';

/** Reads every byte of the packs, and returns the ids of those that are not whole. */
export async function findDamagedPacks(work: RepairWork, packs: readonly string[]): Promise<string[]> {
  if (packs.length === 0) return [];
  const workers = Math.max(1, Math.min(8, availableParallelism(), packs.length));
  await using pool = new WorkerPool<CheckTask, CheckTaskResult>({
    module: workerModule('../check/check-worker', import.meta.url),
    workers,
    workerData: { store: work.address, masterKey: work.masterKey } satisfies RestoreWorkerData,
  });
  const damaged: string[] = [];
  let done = 0;
  let bytes = 0;
  const queue = packs.values();
  const readNext = async (): Promise<void> => {
    for (const id of queue) {
      throwIfStopped(work);
      const result = await pool.run({ packId: id });
      if (result.errors.length > 0) damaged.push(id);
      bytes += result.bytes;
      tellProgress(work, { phase: 'reading packs', done: ++done, total: packs.length, bytes });
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
  return damaged;
}
