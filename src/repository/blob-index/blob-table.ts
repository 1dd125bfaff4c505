import { AppError } from '../../model/errors.ts';
import type { BlobType } from '../pack/pack-header.ts';

/**
 * A set of blobs in shared memory: open addressing over 32-bit words, so that every worker asks it without a message.
 * Each slot has 12 words: the state, the id (8), offset, sealed length, uncompressed length.
 *
 * State: 0 is free, 1 is being written, then the number of the pack times four, plus the type and the readiness.
 * A claimed blob has no place yet: its pack is being filled by the worker who claimed it.
 */
export interface BlobTable {
  readonly capacity: number;
  readonly words: SharedArrayBuffer;
  /** One word: how many slots are taken. */
  readonly taken: SharedArrayBuffer;
}

const slotWords = 12;
const stateFree = 0;
const stateBusy = 1;
const firstState = 2;

/** Workers claim blobs before anybody can hear of it and make a larger table: so many must always have room. */
const minCapacity = 65_536;

export function createBlobTable(expectedBlobs: number): BlobTable {
  const capacity = 2 ** Math.ceil(Math.log2(Math.max(minCapacity, expectedBlobs * 1.6)));
  if (capacity * slotWords * 4 > 2 ** 33)
    throw new AppError('unsupported', 'The repository has too many blobs for one index');
  return {
    capacity,
    words: new SharedArrayBuffer(capacity * slotWords * 4),
    taken: new SharedArrayBuffer(4),
  };
}

/** Where a blob lies; `packIndex` counts into the list of packs that the index keeps. */
export interface TablePlace {
  readonly packIndex: number;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** One thread's view of a table. */
export class BlobTableView {
  readonly table: BlobTable;
  readonly #words: Int32Array;
  readonly #taken: Int32Array;
  readonly #mask: number;

  constructor(table: BlobTable) {
    this.table = table;
    this.#words = new Int32Array(table.words);
    this.#taken = new Int32Array(table.taken);
    this.#mask = table.capacity - 1;
  }

  get taken(): number {
    return Atomics.load(this.#taken, 0);
  }

  has(id: Int32Array, type: BlobType): boolean {
    return this.#find(id, type) >= 0;
  }

  /** The number of the slot that holds the blob, the same as long as the table lives; -1 when it is not there. */
  slotOf(id: Int32Array, type: BlobType): number {
    const at = this.#find(id, type);
    return at < 0 ? -1 : at / slotWords;
  }

  /** The blob's place, or undefined when it is not there or only claimed. */
  get(id: Int32Array, type: BlobType): TablePlace | undefined {
    const at = this.#find(id, type);
    if (at < 0) return undefined;
    const state = (this.#words[at] ?? 0) - firstState;
    if ((state & 2) === 0) return undefined;
    return {
      packIndex: state >>> 2,
      offset: (this.#words[at + 9] ?? 0) >>> 0,
      length: (this.#words[at + 10] ?? 0) >>> 0,
      uncompressedLength: (this.#words[at + 11] ?? 0) >>> 0,
    };
  }

  /** True when the blob was not there and is now claimed by the caller, who must store it. */
  claim(id: Int32Array, type: BlobType): boolean {
    return this.#insert(id, type, firstState + typeBit(type));
  }

  /** Adds a stored blob. False when it is there already; the first place stays. */
  add(id: Int32Array, type: BlobType, place: TablePlace): boolean {
    if (place.packIndex >= 2 ** 29)
      throw new AppError('unsupported', 'The repository has too many packs for one index');
    return this.#insert(id, type, firstState + place.packIndex * 4 + 2 + typeBit(type), place);
  }

  #find(id: Int32Array, type: BlobType): number {
    const bit = typeBit(type);
    for (
      let slot = this.#firstSlot(id), probes = 0;
      probes <= this.#mask;
      probes++, slot = (slot + 1) & this.#mask
    ) {
      const at = slot * slotWords;
      const state = this.#settledState(at);
      if (state === stateFree) return -1;
      if (((state - firstState) & 1) === bit && this.#sameId(at, id)) return at;
    }
    return -1;
  }

  #insert(id: Int32Array, type: BlobType, newState: number, place?: TablePlace): boolean {
    const bit = typeBit(type);
    for (let slot = this.#firstSlot(id), probes = 0; probes <= this.#mask;) {
      const at = slot * slotWords;
      const state = this.#settledState(at);
      if (state === stateFree) {
        // Lost to another thread: look at the same slot again, it may now hold this very blob.
        if (Atomics.compareExchange(this.#words, at, stateFree, stateBusy) !== stateFree) continue;
        this.#words.set(id, at + 1);
        this.#words[at + 9] = place?.offset ?? 0;
        this.#words[at + 10] = place?.length ?? 0;
        this.#words[at + 11] = place?.uncompressedLength ?? 0;
        Atomics.store(this.#words, at, newState);
        Atomics.add(this.#taken, 0, 1);
        return true;
      }
      if (((state - firstState) & 1) === bit && this.#sameId(at, id)) return false;
      probes++;
      slot = (slot + 1) & this.#mask;
    }
    throw new AppError('failed', 'The index in memory is full');
  }

  #firstSlot(id: Int32Array): number {
    return (id[0] ?? 0) & this.#mask;
  }

  /** Another thread holds a slot busy for a few stores only. */
  #settledState(at: number): number {
    for (;;) {
      const state = Atomics.load(this.#words, at);
      if (state !== stateBusy) return state;
    }
  }

  #sameId(at: number, id: Int32Array): boolean {
    for (let i = 0; i < 8; i++) if (this.#words[at + 1 + i] !== id[i]) return false;
    return true;
  }
}

function typeBit(type: BlobType): number {
  return type === 'tree' ? 1 : 0;
}

const idScratch = Buffer.from(new ArrayBuffer(32));
const idScratchWords = new Int32Array(idScratch.buffer, idScratch.byteOffset, 8);

/** An id in hex as eight words, valid until the next call: tables copy what they keep. */
export function idWords(hex: string): Int32Array {
  if (idScratch.write(hex, 'hex') !== 32) throw new AppError('integrity', `"${hex}" is no blob id`);
  return idScratchWords;
}
