import { hash } from 'node:crypto';
import { AppError } from '../../model/errors.ts';
import type { Compressor } from '../crypto/compression.ts';
import type { Sealer } from '../crypto/seal.ts';

export interface SealedBlob {
  readonly id: string;
  /** Opened in place: the bytes are changed. */
  readonly sealed: Buffer;
  readonly place: { readonly packId: string; readonly uncompressedLength: number };
}

export interface BlobTools {
  readonly sealer: Sealer;
  readonly compressor: Compressor;
}

/** Larger than any chunk and than the tree of any sane directory. */
const maxBlobBytes = 2 ** 31 - 1;

/** Decrypts, decompresses and verifies a blob. Into `room`, when it is given and large enough. `integrity` names pack and blob. */
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
