import { createHash, type Hash } from 'node:crypto';
import type { Compressor } from '../crypto/compression.ts';
import { type Sealer, sealOverhead } from '../crypto/seal.ts';
import type { FileInMaking, Store, StoreOptions } from '../stores/store.ts';
import { type BlobPlace, type BlobType, encodePackHeader } from './pack-header.ts';

/** A pack is closed when it has at least this size. */
export const packTargetBytes = 16 * 1024 * 1024;
const maxBlobBytes = 8 * 1024 * 1024;
const maxBlobs = 20_000;
const headerRoomBytes = maxBlobs * 41 + sealOverhead + 4;
/** Where packs are written as they are filled, this much is collected before each write. */
const spillBytes = 512 * 1024;

export interface FinishedPack {
  readonly id: string;
  readonly blobs: readonly BlobPlace[];
  /** The whole content, or a complete file that does not have its name yet. */
  readonly content: Buffer | FileInMaking;
}

interface PackTools {
  readonly sealer: Sealer;
  readonly compressor: Compressor;
  /**
   * Where the store can begin files, packs are written as they are filled, and no writer holds a whole one.
   */
  readonly store?: Pick<Store, 'begin'> | undefined;
}

/** Collects blobs of one type in a buffer: each is compressed into its place and sealed there. */
export class PackWriter {
  readonly #type: BlobType;
  readonly #tools: PackTools;
  #buffer: Buffer | undefined;
  #used = 0;
  #file: FileInMaking | undefined;
  #hash: Hash = createHash('sha256');
  /** Bytes already written to the file. */
  #spilled = 0;
  #failure: { readonly cause: unknown } | undefined;
  #blobs: BlobPlace[] = [];

  constructor(type: BlobType, tools: PackTools) {
    this.#type = type;
    this.#tools = tools;
  }

  /** Adds a blob of at most 8 MiB with a known id (SHA-256 in hex). Returns its stored length. */
  add(id: string, content: Buffer): number {
    const { compressor, sealer } = this.#tools;
    // The tree of a very large directory is larger than any chunk.
    const buffer = this.#reserve(content.length);
    const start = this.#used;
    const room = buffer.subarray(start + 16, start + 16 + content.length);
    let plainLength =
      content.length === 0 ? 0 : compressor.compress(content, room.subarray(0, content.length - 1));
    const uncompressedLength = plainLength > 0 ? content.length : 0;
    if (plainLength === 0) {
      content.copy(room);
      plainLength = content.length;
    }
    const length = sealer.sealInPlace(buffer, start, plainLength);
    this.#take({ id, length, uncompressedLength });
    return length;
  }

  /** Adds a blob that was sealed with the same key. */
  addSealed({ id, uncompressedLength }: Pick<BlobPlace, 'id' | 'uncompressedLength'>, sealed: Buffer): void {
    sealed.copy(this.#reserve(sealed.length), this.#used);
    this.#take({ id, length: sealed.length, uncompressedLength });
  }

  get isFull(): boolean {
    return this.#sizeBytes >= packTargetBytes || this.#blobs.length >= maxBlobs;
  }

  get isEmpty(): boolean {
    return this.#blobs.length === 0;
  }

  /** Closes the pack and starts an empty one. The buffer belongs to the finished pack until `takeBack`. */
  finish(): FinishedPack {
    const blobs = this.#blobs;
    const header = encodePackHeader(blobs);
    const buffer = this.#reserve(header.length + 4);
    header.copy(buffer, this.#used + 16);
    const headerLength = this.#tools.sealer.sealInPlace(buffer, this.#used, header.length);
    this.#used = buffer.writeUInt32LE(headerLength, this.#used + headerLength);
    const bytes = buffer.subarray(0, this.#used);
    if (this.#tools.store?.begin) this.#spill();
    else this.#hash.update(bytes);
    const pack = { id: this.#hash.digest('hex'), blobs, content: this.#file ?? bytes };
    if (pack.content === bytes) this.#buffer = undefined;
    this.#startEmpty();
    return pack;
  }

  /** Reuses the buffer of a pack that has been stored. */
  takeBack({ content }: FinishedPack): void {
    if (!Buffer.isBuffer(content)) return;
    const { buffer } = content;
    if (buffer.byteLength <= this.#bufferBytes) this.#buffer ??= Buffer.from(buffer, 0, buffer.byteLength);
  }

  /** Discards an unfinished pack. */
  abandon(): void {
    this.#file?.abandon();
    this.#startEmpty();
  }

  get #sizeBytes(): number {
    return this.#spilled + this.#used;
  }

  #startEmpty(): void {
    this.#used = 0;
    this.#spilled = 0;
    this.#blobs = [];
    this.#file = undefined;
    this.#hash = createHash('sha256');
  }

  #take(blob: Pick<BlobPlace, 'id' | 'length' | 'uncompressedLength'>): void {
    this.#blobs.push({ ...blob, type: this.#type, offset: this.#sizeBytes });
    this.#used += blob.length;
    if (this.#used >= spillBytes && this.#tools.store?.begin) this.#spill();
  }

  #spill(): void {
    const bytes = (this.#buffer ?? Buffer.alloc(0)).subarray(0, this.#used);
    try {
      this.#file ??= this.#tools.store?.begin?.();
      this.#file?.write(bytes);
    } catch (error) {
      // An incomplete file must never become a pack.
      this.#failure = { cause: error };
      this.abandon();
      throw error;
    }
    this.#hash.update(bytes);
    this.#spilled += this.#used;
    this.#used = 0;
    // A buffer that was enlarged for a huge tree is not kept.
    if ((this.#buffer?.length ?? 0) > this.#bufferBytes) this.#buffer = undefined;
  }

  get #bufferBytes(): number {
    const most = this.#tools.store?.begin ? spillBytes : packTargetBytes;
    return most + maxBlobBytes + sealOverhead + headerRoomBytes;
  }

  /** The buffer, with room for this many bytes after its content. */
  #reserve(length: number): Buffer {
    if (this.#failure) throw this.#failure.cause;
    const needed = this.#used + length + sealOverhead;
    this.#buffer ??= Buffer.allocUnsafeSlow(Math.max(this.#bufferBytes, needed));
    if (this.#buffer.length >= needed) return this.#buffer;
    const larger = Buffer.allocUnsafeSlow(needed + headerRoomBytes);
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
    return larger;
  }
}

/** Stores a finished pack, and marks packs of trees for a caching store. */
export async function storePack(store: Store, pack: FinishedPack, options?: StoreOptions): Promise<void> {
  if (!Buffer.isBuffer(pack.content)) return await pack.content.finish(pack.id);
  const holds = pack.blobs[0]?.type === 'tree' ? 'trees' : undefined;
  await store.save('data', pack.id, pack.content, { ...options, holds });
}
