import { parentPort, workerData } from 'node:worker_threads';
import { idWords } from './blob-print.ts';
import { BlobTables, type SharedTables } from './blob-tables.ts';

/** A thread that claims ids from shared memory as fast as it can, and reports which it won. */
const {
  tables: shared,
  ids,
  gate,
} = workerData as {
  readonly tables: SharedTables;
  readonly ids: readonly string[];
  readonly gate: Int32Array;
};
const tables = new BlobTables(shared);
Atomics.wait(gate, 0, 0);
const won = ids.filter((id) => tables.claim(idWords(id), 'data'));
parentPort?.postMessage(won);
