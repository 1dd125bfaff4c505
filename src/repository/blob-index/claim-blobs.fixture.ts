import { parentPort, workerData } from 'node:worker_threads';
import { type BlobTable, BlobTableView, idWords } from './blob-table.ts';

/** A thread that claims ids from shared memory as fast as it can, and reports which it won. */
const { table, ids, gate } = workerData as {
  readonly table: BlobTable;
  readonly ids: readonly string[];
  readonly gate: Int32Array;
};
const view = new BlobTableView(table);
Atomics.wait(gate, 0, 0);
const won = ids.filter((id) => view.claim(idWords(id), 'data'));
parentPort?.postMessage(won);
