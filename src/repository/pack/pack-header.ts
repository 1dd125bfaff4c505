import { AppError } from '../../model/errors.ts';
import { sealOverhead } from '../crypto/seal.ts';

export type BlobType = 'data' | 'tree';

/** The place of a blob in its pack. */
export interface BlobPlace {
  /** 32 bytes in hex. */
  readonly id: string;
  readonly type: BlobType;
  readonly offset: number;
  /** Sealed length. */
  readonly length: number;
  /** 0 when the blob is not compressed. */
  readonly uncompressedLength: number;
}

const plainEntryBytes = 1 + 4 + 32;
const compressedEntryBytes = plainEntryBytes + 4;
const lengthFieldBytes = 4;

/** The header of a pack before it is sealed: one entry for each blob, by offset. */
export function encodePackHeader(blobs: readonly BlobPlace[]): Buffer {
  const header = Buffer.allocUnsafe(blobs.reduce((sum, blob) => sum + entryBytes(blob), 0));
  let at = 0;
  for (const blob of blobs) {
    const compressed = blob.uncompressedLength > 0;
    at = header.writeUInt8((blob.type === 'tree' ? 1 : 0) + (compressed ? 2 : 0), at);
    at = header.writeUInt32LE(blob.length, at);
    if (compressed) at = header.writeUInt32LE(blob.uncompressedLength, at);
    at += header.write(blob.id, at, 'hex');
  }
  return header;
}

/** The blobs of a decrypted header; offsets follow from the lengths. */
export function decodePackHeader(header: Buffer): BlobPlace[] {
  const blobs: BlobPlace[] = [];
  let offset = 0;
  for (let at = 0; at < header.length;) {
    const kind = header.readUInt8(at);
    const compressed = kind >= 2;
    const size = compressed ? compressedEntryBytes : plainEntryBytes;
    if (kind > 3 || at + size > header.length) throw new AppError('integrity', 'A pack header is damaged');
    const length = header.readUInt32LE(at + 1);
    blobs.push({
      id: header.toString('hex', at + size - 32, at + size),
      type: kind % 2 === 1 ? 'tree' : 'data',
      offset,
      length,
      uncompressedLength: compressed ? header.readUInt32LE(at + 5) : 0,
    });
    offset += length;
    at += size;
  }
  return blobs;
}

function entryBytes(blob: Pick<BlobPlace, 'uncompressedLength'>): number {
  return blob.uncompressedLength > 0 ? compressedEntryBytes : plainEntryBytes;
}

/** The file size of a pack with these blobs. */
export function packSize(blobs: Iterable<Pick<BlobPlace, 'length' | 'uncompressedLength'>>): number {
  let size = sealOverhead + lengthFieldBytes;
  for (const blob of blobs) size += blob.length + entryBytes(blob);
  return size;
}

/** The length of the sealed header, from the last four bytes of a pack. */
export function headerLengthOf(pack: Buffer): number {
  if (pack.length < lengthFieldBytes + sealOverhead) throw new AppError('integrity', 'A pack is too short');
  const length = pack.readUInt32LE(pack.length - lengthFieldBytes);
  if (length < sealOverhead || length + lengthFieldBytes > pack.length) {
    throw new AppError('integrity', 'A pack has an impossible header length');
  }
  return length;
}
