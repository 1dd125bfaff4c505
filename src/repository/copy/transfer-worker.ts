import { workerData } from 'node:worker_threads';
import { limitMallocArenas } from '../../lib/posix.ts';
import { Room } from '../lib/room.ts';
import { serveTasks } from '../workers/worker-side.ts';
import { encodeIndexEntry } from '../blob-index/index-file.ts';
import { openCompressor } from '../crypto/compression.ts';
import { Sealer, sealOverhead } from '../crypto/seal.ts';
import type { BlobPlace, BlobType } from '../pack/pack-header.ts';
import { PackWriter, storePack } from '../pack/pack-writer.ts';
import { openStore } from '../stores/open-store.ts';
import { readStored, type VerifiedBlob } from './read-stored.ts';
import type {
  FailedBlob,
  TransferredPack,
  TransferResult,
  TransferTask,
  TransferWorkerData,
} from './transfer.ts';

/**
 * Copies blobs into new packs of another key or store. Each is verified; compressed content stays compressed.
 */

limitMallocArenas(2);

const data = workerData as TransferWorkerData;
const compressor = openCompressor();
const source = {
  store: openStore(data.source.store),
  sealer: new Sealer(data.source.masterKey),
  compressor,
  sealedRoom: new Room(),
  contentRoom: new Room(),
};
const target = {
  store: openStore(data.target.store),
  sealer: new Sealer(data.target.masterKey),
  compressor,
};
const writers: Readonly<Record<BlobType, PackWriter>> = {
  data: new PackWriter('data', target),
  tree: new PackWriter('tree', target),
};
process.once('exit', () => {
  for (const writer of [writers.data, writers.tree]) writer.abandon();
});
const sealingRoom = new Room();

const sendEvent = serveTasks<TransferTask, TransferResult, never, TransferredPack>({ onTask: runTask });

async function runTask(task: TransferTask): Promise<TransferResult> {
  if (task.kind === 'transfer') return await transfer(task.packId, task.blobs);
  for (const writer of [writers.data, writers.tree]) if (!writer.isEmpty) await store(writer);
  return { copied: 0, bytes: 0, failed: [] };
}

async function transfer(packId: string, blobs: readonly BlobPlace[]): Promise<TransferResult> {
  const failed: FailedBlob[] = [];
  let copied = 0;
  let bytes = 0;
  for await (const read of readStored(source, packId, blobs)) {
    if ('error' in read) {
      const { blob, error } = read;
      failed.push({
        id: blob.id,
        type: blob.type,
        message: error.message,
        isDamaged: error.code === 'integrity',
      });
      continue;
    }
    copied++;
    if (data.dryRun) continue;
    const writer = writers[read.blob.type];
    bytes += add(writer, read);
    if (writer.isFull) await store(writer);
  }
  return { copied, bytes, failed };
}

/** Returns the stored length. */
function add(writer: PackWriter, { blob, content, stored }: VerifiedBlob): number {
  if (blob.uncompressedLength === 0) return writer.add(blob.id, content);
  const sealed = sealingRoom.take(stored.length + sealOverhead);
  stored.copy(sealed, sealOverhead / 2);
  target.sealer.sealInPlace(sealed, 0, stored.length);
  writer.addSealed(blob, sealed);
  return sealed.length;
}

async function store(writer: PackWriter): Promise<void> {
  const pack = writer.finish();
  await storePack(target.store, pack);
  writer.takeBack(pack);
  sendEvent({ pack: encodeIndexEntry(pack) });
}
