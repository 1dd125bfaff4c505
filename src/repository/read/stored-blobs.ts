import { hash } from 'node:crypto';
import { AppError, isAppError } from '../../model/errors.ts';
import type { Compressor } from '../crypto/compression.ts';
import type { Sealer } from '../crypto/seal.ts';
import type { Room } from '../lib/room.ts';
import type { ByteRange, Store, StoreOptions } from '../stores/store.ts';

interface SealedBlob {
  readonly id: string;
  /** Decrypted in place, which changes the bytes. */
  readonly sealed: Buffer;
  readonly place: { readonly packId: string; readonly uncompressedLength: number };
}

export interface BlobTools {
  readonly sealer: Sealer;
  readonly compressor: Compressor;
}

/** Larger than any chunk and than the tree of any sane directory. */
const maxBlobBytes = 2 ** 31 - 1;

/**
 * Decrypts, decompresses and verifies a blob, into `room` when that is given and large enough. `integrity`
 * names pack and blob.
 */
export function openBlob(tools: BlobTools, blob: SealedBlob, room?: Buffer): Buffer {
  const { uncompressedLength, packId } = blob.place;
  try {
    const opened = tools.sealer.openInPlace(blob.sealed);
    const content =
      uncompressedLength > 0 ? inflate(tools.compressor, opened, uncompressedLength, room) : opened;
    if (hash('sha256', content, 'hex') !== blob.id)
      throw new AppError('integrity', 'The content does not match its id');
    return content;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(
      'integrity',
      `Blob "${blob.id.slice(0, 8)}" in pack "${packId.slice(0, 8)}" is damaged`,
      {
        detail: error.message,
        hint: 'Run "holdfast check --read-data" to learn what else is damaged.',
        cause: error,
      },
    );
  }
}

function inflate(compressor: Compressor, frame: Buffer, length: number, room: Buffer | undefined): Buffer {
  if (length > maxBlobBytes) throw new AppError('integrity', 'The blob says that it is impossibly large');
  const target = room && room.length >= length ? room.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  compressor.decompressInto(frame, target);
  return target;
}

/** A part of an indexed pack. A missing pack is damage. */
export async function loadPartOfPack(
  store: Store,
  packId: string,
  range: ByteRange,
  options?: StoreOptions & { readonly room?: Room },
): Promise<Buffer> {
  try {
    return await store.load('data', packId, range, options);
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('integrity', error.message, {
      hint: 'Run "holdfast check" to learn what else is missing.',
      cause: error,
    });
  }
}

/** Blobs closer together than this are read in one request, with the bytes in between. */
const gapBytes = 64 * 1024;
const readBytes = 4 * 1024 * 1024;

/** Blobs of one pack in stored order, in runs worth one request each. */
export function runsOfBlobs<Blob extends { readonly offset: number; readonly length: number }>(
  blobs: readonly Blob[],
): Blob[][] {
  const runs: Blob[][] = [];
  let start = 0;
  let end = -1;
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    const stop = blob.offset + blob.length;
    const current = runs.at(-1);
    if (current && blob.offset >= end && blob.offset - end <= gapBytes && stop - start <= readBytes) {
      current.push(blob);
    } else {
      runs.push([blob]);
      start = blob.offset;
    }
    end = stop;
  }
  return runs;
}
