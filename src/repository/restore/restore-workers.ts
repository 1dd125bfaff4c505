import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { StoreAddress } from '../stores/open-store.ts';
import type { RestoreTask, RestoreTaskResult } from './restore-task.ts';

/**
 * The workers of a restore. They can be started before the repository's key is known, and receive it later.
 */
export type RestoreWorkers = WorkerPool<RestoreTask, RestoreTaskResult, never, never, MasterKey>;

export function openRestoreWorkers(store: StoreAddress): RestoreWorkers {
  return new WorkerPool({
    module: workerModule('./restore-worker', import.meta.url),
    workers: Math.max(1, Math.min(8, availableParallelism())),
    workerData: store,
  });
}

/** The same, with their code already loading: on two processors they are ready when the key is derived. */
export function warmRestoreWorkers(store: StoreAddress): RestoreWorkers | undefined {
  if (availableParallelism() < 2) return undefined;
  const workers = openRestoreWorkers(store);
  workers.warm();
  return workers;
}
