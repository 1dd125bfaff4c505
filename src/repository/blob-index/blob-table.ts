import { AppError } from '../../model/errors.ts';
import { type BlobPrint, printWords } from './blob-print.ts';

/**
 * A set of blobs in shared memory: open addressing over 32-bit words, so that every worker can query it
 * without a message. Each slot has the words of the blob's print; the first is 0 in a free slot, and 1 while
 * it is written. A table with places has four more words: the pack number plus one (0 without a place),
 * offset, sealed length, uncompressed length. A claimed blob has no place yet: the worker that claimed it is
 * filling its pack.
 */
export interface BlobTable {
  readonly capacity: number;
  readonly hasPlaces: boolean;
  readonly words: SharedArrayBuffer;
  /** One word: the number of taken slots. */
  readonly taken: SharedArrayBuffer;
}

const placeWords = 4;
const stateFree = 0;
const stateBusy = 1;

/** Searches in a fuller table would be slow. */
export const fullness = 0.75;

/**
 * Workers claim blobs before the main thread learns of it and can create a larger table, so this many must
 * always fit.
 */
const minCapacity = 65_536;

const maxBytes = 2 ** 33;

export interface TableOptions {
  readonly hasPlaces: boolean;
}

/** A table that stays below `fullness` with this many blobs. */
export function createBlobTable(expectedBlobs: number, { hasPlaces }: TableOptions): BlobTable {
  const capacity = Math.max(minCapacity, Math.ceil(expectedBlobs / fullness));
  const bytes = capacity * slotWordsOf(hasPlaces) * 4;
  if (bytes > maxBytes) throw new AppError('unsupported', 'The repository has too many blobs for one index');
  return {
    capacity,
    hasPlaces,
    words: new SharedArrayBuffer(bytes),
    taken: new SharedArrayBuffer(4),
  };
}

function slotWordsOf(hasPlaces: boolean): number {
  return hasPlaces ? printWords + placeWords : printWords;
}

/** The place of a blob; `packIndex` counts in the index's list of packs. */
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
  readonly #slotWords: number;

  constructor(table: BlobTable) {
    this.table = table;
    this.#words = new Int32Array(table.words);
    this.#taken = new Int32Array(table.taken);
    this.#slotWords = slotWordsOf(table.hasPlaces);
  }

  get isFull(): boolean {
    return this.taken >= this.table.capacity * fullness;
  }

  get taken(): number {
    return Atomics.load(this.#taken, 0);
  }

  has(print: BlobPrint): boolean {
    return this.slotOf(print) >= 0;
  }

  /** The number of the blob's slot, which never changes in a table; -1 when the blob is unknown. */
  slotOf(print: BlobPrint): number {
    const { capacity } = this.table;
    for (
      let slot = this.#firstSlot(print), probes = 0;
      probes < capacity;
      probes++, slot = this.#after(slot)
    ) {
      const at = slot * this.#slotWords;
      const state = this.#settledState(at);
      if (state === stateFree) return -1;
      if (state === print[0] && this.#isSame(at, print)) return slot;
    }
    return -1;
  }

  /** The blob's place; undefined when it is unknown or only claimed. */
  get(print: BlobPrint): TablePlace | undefined {
    const slot = this.table.hasPlaces ? this.slotOf(print) : -1;
    if (slot < 0) return undefined;
    const at = slot * this.#slotWords + printWords;
    const pack = this.#wordAt(at);
    if (pack === 0) return undefined;
    return {
      packIndex: pack - 1,
      offset: this.#wordAt(at + 1),
      length: this.#wordAt(at + 2),
      uncompressedLength: this.#wordAt(at + 3),
    };
  }

  /** True when the blob was unknown and is now claimed by the caller, who must store it. */
  claim(print: BlobPrint): boolean {
    return this.#insert(print);
  }

  /** Adds a stored blob. False when it is already known; the first place stays. */
  add(print: BlobPrint, place: TablePlace): boolean {
    if (place.packIndex >= 2 ** 31)
      throw new AppError('unsupported', 'The repository has too many packs for one index');
    return this.#insert(print, place);
  }

  #insert(print: BlobPrint, place?: TablePlace): boolean {
    const { capacity } = this.table;
    for (let slot = this.#firstSlot(print), probes = 0; probes < capacity;) {
      const at = slot * this.#slotWords;
      const state = this.#settledState(at);
      if (state === stateFree) {
        // Another thread took the slot: look at it again, since it may now hold this blob.
        if (Atomics.compareExchange(this.#words, at, stateFree, stateBusy) !== stateFree) continue;
        this.#fill(at, print, place);
        return true;
      }
      if (state === print[0] && this.#isSame(at, print)) return false;
      probes++;
      slot = this.#after(slot);
    }
    throw new AppError('failed', 'The index in memory is full');
  }

  /** The first word is written last: a reader that sees it can read the others. */
  #fill(at: number, print: BlobPrint, place: TablePlace | undefined): void {
    for (let i = 1; i < printWords; i++) this.#words[at + i] = print[i] ?? 0;
    if (place && this.table.hasPlaces) {
      this.#words[at + printWords] = place.packIndex + 1;
      this.#words[at + printWords + 1] = place.offset;
      this.#words[at + printWords + 2] = place.length;
      this.#words[at + printWords + 3] = place.uncompressedLength;
    }
    Atomics.store(this.#words, at, print[0] ?? 0);
    Atomics.add(this.#taken, 0, 1);
  }

  #firstSlot(print: BlobPrint): number {
    return Math.floor((((print[1] ?? 0) >>> 0) / 2 ** 32) * this.table.capacity);
  }

  #after(slot: number): number {
    return slot + 1 === this.table.capacity ? 0 : slot + 1;
  }

  #wordAt(at: number): number {
    return (this.#words[at] ?? 0) >>> 0;
  }

  /** Another thread keeps a slot busy only for a few memory writes. */
  #settledState(at: number): number {
    for (;;) {
      const state = Atomics.load(this.#words, at);
      if (state !== stateBusy) return state;
    }
  }

  #isSame(at: number, print: BlobPrint): boolean {
    for (let i = 1; i < printWords; i++) if (this.#words[at + i] !== print[i]) return false;
    return true;
  }
}
