const used = 1;
const seen = 2;
const hasCopies = 4;
const kept = 8;
const copied = 16;
const covered = 32;

/** What a prune remembers of each blob: one byte, by the blob's slot in the index, so that millions fit. */
export class BlobMarks {
  readonly #marks: Uint8Array;
  /** The pack whose copy stays, for blobs that have several; made when there is one. */
  #keepers: Uint32Array | undefined;

  constructor(slotCount: number) {
    this.#marks = new Uint8Array(slotCount);
  }

  /** A snapshot needs the blob. True the first time. */
  use(slot: number): boolean {
    return this.#set(slot, used);
  }

  isUsed(slot: number): boolean {
    return this.#has(slot, used);
  }

  /** The blob is stored somewhere. True the first time: for its first copy. */
  see(slot: number): boolean {
    return this.#set(slot, seen);
  }

  /** The blob is stored somewhere else, too. True the first time: for its second copy. */
  seeCopy(slot: number): boolean {
    return this.#set(slot, hasCopies);
  }

  /** Of several copies, the one in this pack stays. False when another one was chosen already. */
  keep(slot: number, pack: number): boolean {
    if (!this.#set(slot, kept)) return false;
    this.#keepers ??= new Uint32Array(this.#marks.length);
    this.#keepers[slot] = pack;
    return true;
  }

  /** True when a snapshot needs the blob, and it is this pack's copy that stays. */
  isKeptIn(slot: number, pack: number): boolean {
    return this.#has(slot, used) && (!this.#has(slot, hasCopies) || this.#keepers?.[slot] === pack);
  }

  /** The blob is on its way into a new pack. True the first time. */
  copy(slot: number): boolean {
    return this.#set(slot, copied);
  }

  /** The blob is found in the index as it will be. */
  cover(slot: number): void {
    this.#set(slot, covered);
  }

  /** How many blobs a snapshot needs. */
  countUsed(): number {
    return this.#count((mark) => (mark & used) !== 0);
  }

  /** How many blobs a snapshot needs that the index as it will be does not have. */
  countUncovered(): number {
    return this.#count((mark) => (mark & used) !== 0 && (mark & covered) === 0);
  }

  #has(slot: number, bit: number): boolean {
    return ((this.#marks[slot] ?? 0) & bit) !== 0;
  }

  #set(slot: number, bit: number): boolean {
    const mark = this.#marks[slot];
    if (mark === undefined) throw new RangeError(`There is no slot ${slot}`);
    this.#marks[slot] = mark | bit;
    return (mark & bit) === 0;
  }

  #count(matches: (mark: number) => boolean): number {
    let count = 0;
    for (const mark of this.#marks) if (matches(mark)) count++;
    return count;
  }
}
