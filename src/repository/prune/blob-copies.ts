/** One of several copies of a blob. */
export interface BlobCopy {
  readonly slot: number;
  readonly pack: number;
  /** As it is stored. */
  readonly bytes: number;
}

const fields = 3;

/** A long list of copies in flat memory: after a prune that was killed, every blob may have two. */
export class BlobCopyList {
  #values = new Uint32Array(1024 * fields);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add({ slot, pack, bytes }: BlobCopy): void {
    const at = this.#length * fields;
    if (at === this.#values.length) {
      const larger = new Uint32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[at] = slot;
    this.#values[at + 1] = pack;
    this.#values[at + 2] = bytes;
    this.#length++;
  }

  at(position: number): BlobCopy {
    const at = position * fields;
    return {
      slot: this.#values[at] ?? 0,
      pack: this.#values[at + 1] ?? 0,
      bytes: this.#values[at + 2] ?? 0,
    };
  }

  /** The same by pack; `packCount` is one more than the largest number of a pack. */
  byPack(packCount: number): CopiesByPack {
    return new CopiesByPack(this, packCount);
  }
}

/** Copies in the order of their packs. */
class CopiesByPack {
  readonly #list: BlobCopyList;
  /** Where each pack begins in `#order`. */
  readonly #starts: Uint32Array;
  readonly #order: Uint32Array;

  constructor(list: BlobCopyList, packCount: number) {
    this.#list = list;
    this.#starts = new Uint32Array(packCount + 1);
    for (let i = 0; i < list.length; i++) this.#starts[list.at(i).pack + 1]! += 1;
    for (let pack = 0; pack < packCount; pack++) this.#starts[pack + 1]! += this.#starts[pack] ?? 0;
    const next = this.#starts.slice();
    this.#order = new Uint32Array(list.length);
    for (let i = 0; i < list.length; i++) {
      const { pack } = list.at(i);
      const at = next[pack] ?? 0;
      this.#order[at] = i;
      next[pack] = at + 1;
    }
  }

  /** The packs that hold any. */
  packs(): number[] {
    const found: number[] = [];
    for (let pack = 0; pack + 1 < this.#starts.length; pack++)
      if (this.#starts[pack] !== this.#starts[pack + 1]) found.push(pack);
    return found;
  }

  *copiesOf(pack: number): Generator<BlobCopy> {
    for (let at = this.#starts[pack] ?? 0; at < (this.#starts[pack + 1] ?? 0); at++)
      yield this.#list.at(this.#order[at] ?? 0);
  }
}
