import { workerData } from 'node:worker_threads';
import { limitMallocArenas } from '../../lib/posix.ts';
import { Room } from '../lib/room.ts';
import { serveTasks } from '../workers/worker-side.ts';
import { encodeIndexEntry } from '../blob-index/index-file.ts';
import { openCompressor } from '../crypto/compression.ts';
import { Sealer } from '../crypto/seal.ts';
import type { BlobPlace, BlobType } from '../pack/pack-header.ts';
import { PackWriter, storePack } from '../pack/pack-writer.ts';
import { readBlobs } from '../read/read-blobs.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { openStore } from '../stores/open-store.ts';
import type { PackStoredEvent, RepackTask, RepackTaskResult } from './repack.ts';

/** Copies blobs into new packs. Each is decrypted and verified, and copied in sealed form. */

limitMallocArenas(2);

const data = workerData as RestoreWorkerData;
const sealer = new Sealer(data.masterKey);
const compressor = openCompressor();
const sealedCopy = new Room();
const tools = {
  store: openStore(data.store),
  sealer,
  compressor,
  sealedRooms: [new Room(), new Room()] as const,
  contentRoom: new Room(),
};
const writers: Readonly<Record<BlobType, PackWriter>> = {
  data: new PackWriter('data', tools),
  tree: new PackWriter('tree', tools),
};
process.once('exit', () => {
  for (const writer of [writers.data, writers.tree]) writer.abandon();
});

const sendEvent = serveTasks<RepackTask, RepackTaskResult, never, PackStoredEvent>({ onTask: runTask });

async function runTask(task: RepackTask): Promise<RepackTaskResult> {
  if (task.kind === 'copy') return await copyBlobs(task.packId, task.blobs);
  for (const writer of [writers.data, writers.tree]) if (!writer.isEmpty) await store(writer);
  return { blobs: 0, bytes: 0 };
}

async function copyBlobs(packId: string, blobs: readonly BlobPlace[]): Promise<RepackTaskResult> {
  let copy: Buffer = Buffer.alloc(0);
  let bytes = 0;
  // Decrypting a blob destroys its sealed form.
  const onSealed = (sealed: Buffer): void => {
    copy = sealedCopy.take(sealed.length);
    sealed.copy(copy);
  };
  for await (const { blob } of readBlobs(tools, packId, blobs, { onSealed })) {
    const writer = writers[blob.type];
    writer.addSealed(blob, copy);
    bytes += copy.length;
    if (writer.isFull) await store(writer);
  }
  return { blobs: blobs.length, bytes };
}

async function store(writer: PackWriter): Promise<void> {
  const pack = writer.finish();
  await storePack(tools.store, pack);
  writer.takeBack(pack);
  sendEvent({ pack: encodeIndexEntry(pack) });
}
