import type { Room } from '../lib/room.ts';
import { AppError } from '../../model/errors.ts';
import { sealOverhead } from '../crypto/seal.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import { type BlobTools, loadPartOfPack, openBlob, runsOfBlobs } from '../read/stored-blobs.ts';
import { isOfThisFile } from '../repair/pack-headers.ts';
import type { Store } from '../stores/store.ts';

export interface StoredReadTools extends BlobTools {
  readonly store: Store;
  readonly sealedRoom: Room;
  readonly contentRoom: Room;
}

/** A verified blob. Its bytes are valid until the next step. */
export interface VerifiedBlob {
  readonly blob: BlobPlace;
  readonly content: Buffer;
  /** The compressed content; the content itself when it was not compressed. */
  readonly stored: Buffer;
}

export interface UnverifiedBlob {
  readonly blob: BlobPlace;
  readonly error: AppError;
}

/**
 * Reads blobs of a pack in stored order, in few requests, and verifies each. A damaged or unreadable blob
 * does not prevent reading the others: when a request fails, each of its blobs is requested alone.
 */
export async function* readStored(
  tools: StoredReadTools,
  packId: string,
  blobs: readonly BlobPlace[],
): AsyncGenerator<VerifiedBlob | UnverifiedBlob> {
  for (const run of runsOfBlobs(blobs)) {
    const bytes = await tryToLoad(tools, packId, run);
    if (bytes instanceof AppError && run.length > 1) {
      for (const blob of run)
        yield* openRun(tools, { packId, run: [blob], bytes: await tryToLoad(tools, packId, [blob]) });
    } else yield* openRun(tools, { packId, run, bytes });
  }
}

interface Run {
  readonly packId: string;
  readonly run: readonly BlobPlace[];
  readonly bytes: Buffer | AppError;
}

function* openRun(
  tools: StoredReadTools,
  { packId, run, bytes }: Run,
): Generator<VerifiedBlob | UnverifiedBlob> {
  const start = run[0]?.offset ?? 0;
  for (const blob of run) {
    if (bytes instanceof AppError) yield { blob, error: bytes };
    else
      yield open(tools, {
        packId,
        blob,
        sealed: bytes.subarray(blob.offset - start, blob.offset - start + blob.length),
      });
  }
}

async function tryToLoad(
  { store, sealedRoom }: StoredReadTools,
  packId: string,
  run: readonly BlobPlace[],
): Promise<Buffer | AppError> {
  const offset = run[0]?.offset ?? 0;
  const last = run.at(-1);
  const length = last ? last.offset + last.length - offset : 0;
  try {
    return await loadPartOfPack(store, packId, { offset, length }, { room: sealedRoom });
  } catch (error) {
    if (!(error instanceof AppError) || !isOfThisFile(error)) throw error;
    return error;
  }
}

function open(
  tools: StoredReadTools,
  { packId, blob, sealed }: { readonly packId: string; readonly blob: BlobPlace; readonly sealed: Buffer },
): VerifiedBlob | UnverifiedBlob {
  const { id, uncompressedLength } = blob;
  try {
    const room = tools.contentRoom.take(Math.min(uncompressedLength, maxRoomBytes));
    const content = openBlob(tools, { id, sealed, place: { packId, uncompressedLength } }, room);
    // The blob was decrypted in place.
    const stored = sealed.subarray(sealOverhead / 2, sealed.length - sealOverhead / 2);
    return { blob, content, stored };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { blob, error };
  }
}

/** A lying header must not make us allocate all memory before the blob itself is verified. */
const maxRoomBytes = 64 * 1024 * 1024;
