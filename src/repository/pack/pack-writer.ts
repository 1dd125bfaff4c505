import { hash } from 'node:crypto';
import type { Compressor } from '../crypto/compression.ts';
import { type Sealer, sealOverhead } from '../crypto/seal.ts';
import { type BlobPlace, type BlobType, encodePackHeader } from './pack-header.ts';

/** A pack is closed when it has at least this much. */
export const packTargetBytes = 16 * 1024 * 1024;
const maxBlobBytes = 8 * 1024 * 1024;
const maxBlobs = 20_000;
const headerRoomBytes = maxBlobs * 41 + sealOverhead + 4;
const bufferBytes = packTargetBytes + maxBlobBytes + sealOverhead + headerRoomBytes;

/** A finished pack: its bytes are a view that is valid until the writer's next `add`. */
export interface FinishedPack {
  readonly id: string;
  readonly bytes: Buffer;
  readonly blobs: readonly BlobPlace[];
}

/** Collects blobs of one type in one buffer: each is compressed into its place and sealed there. */
export class PackWriter {
  readonly #type: BlobType;
  readonly #sealer: Sealer;
  readonly #compressor: Compressor;
  #buffer: Buffer | undefined;
  #used = 0;
  #blobs: BlobPlace[] = [];

  constructor(type: BlobType, sealer: Sealer, compressor: Compressor) {
    this.#type = type;
    this.#sealer = sealer;
    this.#compressor = compressor;
  }

  /** Adds a blob of at most 8 MiB, whose id (SHA-256 in hex) is known already. Returns its stored length. */
  add(id: string, content: Buffer): number {
    // Trees of very large directories are larger than any chunk.
    this.#reserve(content.length);
    const buffer = this.#buffer ?? Buffer.alloc(0);
    const start = this.#used;
    const room = buffer.subarray(start + 16, start + 16 + content.length);
    let plainLength =
      content.length === 0 ? 0 : this.#compressor.compress(content, room.subarray(0, content.length - 1));
    const uncompressedLength = plainLength > 0 ? content.length : 0;
    if (plainLength === 0) {
      content.copy(room);
      plainLength = content.length;
    }
    const length = this.#sealer.sealInPlace(buffer, start, plainLength);
    this.#blobs.push({ id, type: this.#type, offset: start, length, uncompressedLength });
    this.#used += length;
    return length;
  }

  /** Adds a blob that was sealed with the same key. */
  addSealed(blob: Pick<BlobPlace, 'id' | 'uncompressedLength'>, sealed: Buffer): void {
    this.#reserve(sealed.length);
    sealed.copy(this.#buffer ?? Buffer.alloc(0), this.#used);
    const { id, uncompressedLength } = blob;
    this.#blobs.push({
      id,
      type: this.#type,
      offset: this.#used,
      length: sealed.length,
      uncompressedLength,
    });
    this.#used += sealed.length;
  }

  get isFull(): boolean {
    return this.#used >= packTargetBytes || this.#blobs.length >= maxBlobs;
  }

  get isEmpty(): boolean {
    return this.#blobs.length === 0;
  }

  /** Closes the pack and starts an empty one. The caller swaps the buffer with `useBuffer` if it still needs the bytes. */
  finish(): FinishedPack {
    const blobs = this.#blobs;
    const header = encodePackHeader(blobs);
    this.#reserve(header.length + 4);
    const buffer = this.#buffer ?? Buffer.alloc(0);
    header.copy(buffer, this.#used + 16);
    const headerLength = this.#sealer.sealInPlace(buffer, this.#used, header.length);
    const end = buffer.writeUInt32LE(headerLength, this.#used + headerLength);
    const bytes = buffer.subarray(0, end);
    this.#used = 0;
    this.#blobs = [];
    this.#buffer = undefined;
    return { id: hash('sha256', bytes), bytes, blobs };
  }

  /** Gives the writer a buffer to fill, such as one whose pack has been stored. */
  useBuffer(buffer: Buffer): void {
    this.#buffer ??= buffer;
  }

  #reserve(length: number): void {
    const needed = this.#used + length + sealOverhead;
    this.#buffer ??= Buffer.allocUnsafeSlow(Math.max(bufferBytes, needed));
    if (this.#buffer.length >= needed) return;
    const larger = Buffer.allocUnsafeSlow(needed + headerRoomBytes);
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }
}
