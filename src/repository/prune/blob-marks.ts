const used = 1;
const seen = 2;
const hasCopies = 4;
const kept = 8;
const copied = 16;
const covered = 32;

/** What a prune records about each blob: one byte, by the blob's slot in the index, so that millions fit. */
export class BlobMarks {
  readonly #marks: Uint8Array;
  /** The pack whose copy stays, for blobs with several; created on demand. */
  #keepers: Uint32Array | undefined;

  constructor(slotCount: number) {
    this.#marks = new Uint8Array(slotCount);
  }

  /** Marks a blob that a snapshot needs. True the first time. */
  use(slot: number): boolean {
    return this.#set(slot, used);
  }

  isUsed(slot: number): boolean {
    return this.#has(slot, used);
  }

  /** Marks a stored blob. True the first time: for its first copy. */
  see(slot: number): boolean {
    return this.#set(slot, seen);
  }

  /** Marks a blob with another copy. True the first time: for its second copy. */
  seeCopy(slot: number): boolean {
    return this.#set(slot, hasCopies);
  }

  /** Chooses this pack's copy to stay. False when another was already chosen. */
  keep(slot: number, pack: number): boolean {
    if (!this.#set(slot, kept)) return false;
    this.#keepers ??= new Uint32Array(this.#marks.length);
    this.#keepers[slot] = pack;
    return true;
  }

  /** True when a snapshot needs the blob, and this pack's copy stays. */
  isKeptIn(slot: number, pack: number): boolean {
    return this.#has(slot, used) && (!this.#has(slot, hasCopies) || this.#keepers?.[slot] === pack);
  }

  /** Marks a blob that is being copied into a new pack. True the first time. */
  copy(slot: number): boolean {
    return this.#set(slot, copied);
  }

  /** Marks a blob that the future index has. */
  cover(slot: number): void {
    this.#set(slot, covered);
  }

  /** The number of blobs that a snapshot needs. */
  countUsed(): number {
    return this.#count((mark) => (mark & used) !== 0);
  }

  /** The number of needed blobs that the future index lacks. */
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
