import { workerData } from 'node:worker_threads';
import { limitMallocArenas } from '../../lib/posix.ts';
import { serveTasks } from '../workers/worker-side.ts';
import { AppError } from '../../model/errors.ts';
import { Sealer } from '../crypto/seal.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { openStore } from '../stores/open-store.ts';
import type { StoredFile } from '../stores/store.ts';
import {
  type HeaderResult,
  type HeaderTask,
  type HeaderTaskResult,
  isOfThisFile,
  readPackHeader,
} from './pack-headers.ts';

/** Reads the headers of packs, and nothing else of them. */

limitMallocArenas(2);

const data = workerData as RestoreWorkerData;
const tools = { store: openStore(data.store), sealer: new Sealer(data.masterKey) };

serveTasks<HeaderTask, HeaderTaskResult>({
  async onTask({ packs }) {
    return { headers: await Promise.all(packs.map(readHeader)) };
  },
});

async function readHeader(pack: StoredFile): Promise<HeaderResult> {
  try {
    return { packId: pack.name, blobs: await readPackHeader(tools, pack) };
  } catch (error) {
    if (!(error instanceof AppError) || !isOfThisFile(error)) throw error;
    return { packId: pack.name, message: error.message };
  }
}
