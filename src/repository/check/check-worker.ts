import { hash } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { limitMallocArenas } from '../../lib/posix.ts';
import { Room } from '../lib/room.ts';
import { serveTasks } from '../workers/worker-side.ts';
import { AppError } from '../../model/errors.ts';
import { openCompressor } from '../crypto/compression.ts';
import { Sealer } from '../crypto/seal.ts';
import { type BlobPlace, decodePackHeader, headerLengthOf } from '../pack/pack-header.ts';
import { openBlob } from '../read/stored-blobs.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import { openStore } from '../stores/open-store.ts';
import { isOutOfReach } from '../out-of-reach.ts';

/** Reads whole packs and verifies every byte. */

export interface CheckTask {
  readonly packId: string;
}

export interface CheckTaskResult {
  readonly bytes: number;
  readonly errors: readonly string[];
  /** No part of the pack can be trusted. */
  readonly isLost: boolean;
  readonly damagedBlobs: readonly string[];
  /** The content according to the pack's own header. */
  readonly blobs: readonly BlobPlace[];
}

limitMallocArenas(2);

const data = workerData as RestoreWorkerData;
const tools = {
  store: openStore(data.store),
  sealer: new Sealer(data.masterKey),
  compressor: openCompressor(),
};
const packRoom = new Room();
const blobRoom = new Room();

serveTasks<CheckTask, CheckTaskResult>({ onTask: checkPack });

async function checkPack({ packId }: CheckTask): Promise<CheckTaskResult> {
  const name = packId.slice(0, 8);
  try {
    const pack = await tools.store.load('data', packId, undefined, { room: packRoom });
    const errors: string[] = [];
    if (hash('sha256', pack) !== packId)
      errors.push(`Pack "${name}" is damaged: its bytes do not match its name`);
    const blobs = openHeader(pack);
    const damagedBlobs: string[] = [];
    for (const blob of blobs) {
      const error = blobError(pack, packId, blob);
      if (error === undefined) continue;
      errors.push(error);
      damagedBlobs.push(blob.id);
    }
    return { bytes: pack.length, errors, isLost: false, damagedBlobs, blobs };
  } catch (error) {
    if (!(error instanceof AppError) || isOutOfReach(error)) throw error;
    const errors = [`Pack "${name}" cannot be read: ${error.message}`];
    return { bytes: 0, errors, isLost: true, damagedBlobs: [], blobs: [] };
  }
}

function openHeader(pack: Buffer): BlobPlace[] {
  const headerLength = headerLengthOf(pack);
  const end = pack.length - 4;
  const blobs = decodePackHeader(tools.sealer.openInPlace(pack.subarray(end - headerLength, end)));
  const last = blobs.at(-1);
  if (last && last.offset + last.length !== end - headerLength)
    throw new AppError('integrity', 'its header does not match its size');
  return blobs;
}

function blobError(pack: Buffer, packId: string, blob: BlobPlace): string | undefined {
  try {
    const sealed = pack.subarray(blob.offset, blob.offset + blob.length);
    openBlob(
      tools,
      { id: blob.id, sealed, place: { packId, uncompressedLength: blob.uncompressedLength } },
      blobRoom.take(blob.uncompressedLength),
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}
