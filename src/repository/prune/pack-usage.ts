import { AppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { IndexedPack } from '../blob-index/index-file.ts';
import type { BlobMarks } from './blob-marks.ts';

/** How much of a pack is used. */
export interface PackUsage {
  readonly id: string;
  /** The sum of its blobs, not its stored size. */
  readonly sizeBytes: number;
  readonly kind: 'data' | 'tree' | 'mixed';
  usedBlobs: number;
  usedBytes: number;
  unusedBlobs: number;
  unusedBytes: number;
  /** The part of the unused blobs that another pack also holds and keeps. */
  duplicateBlobs: number;
  duplicateBytes: number;
}

/**
 * Counts for each pack how much of it is used. Packs are added as the index files list them, in the order of
 * the index.
 */
export class UsageCounter {
  readonly #index: BlobIndex;
  readonly #marks: BlobMarks;
  readonly #packs: PackUsage[] = [];
  readonly #copies: BlobCopyList;

  constructor(index: BlobIndex, marks: BlobMarks) {
    this.#index = index;
    this.#marks = marks;
    this.#copies = new BlobCopyList();
  }

  add(pack: IndexedPack): void {
    const number = this.#index.packNumber(pack.id);
    const record = number === undefined ? undefined : this.#index.packs[number];
    if (number === undefined || record === undefined) throw changedMeanwhile(pack.id);
    if (this.#packs[number] !== undefined) {
      // Two index files may name the same pack, as after a killed prune; they must agree.
      if (record.blobCount !== pack.blobs.length) throw contradiction(pack.id);
      return;
    }
    const kinds = new Set(pack.blobs.map(({ type }) => type));
    this.#packs[number] = {
      id: pack.id,
      sizeBytes: record.sizeBytes,
      kind: kinds.size > 1 ? 'mixed' : kinds.has('tree') ? 'tree' : 'data',
      usedBlobs: 0,
      usedBytes: 0,
      unusedBlobs: 0,
      unusedBytes: 0,
      duplicateBlobs: 0,
      duplicateBytes: 0,
    };
    for (const blob of pack.blobs) this.#count(number, blob);
  }

  /** The packs in the order of the index, once it is decided which copy of each blob stays. */
  finish(): PackUsage[] {
    for (const [number, { id }] of this.#index.packs.entries())
      if (this.#packs[number] === undefined) throw changedMeanwhile(id);
    if (this.#copies.length > 0) chooseCopies(this.#packs, this.#copies, this.#marks);
    return this.#packs;
  }

  #count(number: number, blob: IndexedPack['blobs'][number]): void {
    const usage = this.#packs[number] as PackUsage;
    const slot = this.#index.slotOf(blob.id, blob.type);
    if (!this.#marks.isUsed(slot)) {
      usage.unusedBlobs++;
      usage.unusedBytes += blob.length;
      return;
    }
    if (this.#marks.see(slot)) {
      usage.usedBlobs++;
      usage.usedBytes += blob.length;
      return;
    }
    if (this.#marks.seeCopy(slot)) this.#takeBackFirst(blob, slot);
    this.#copies.add({ slot, pack: number, bytes: blob.length });
  }

  /** The first copy was counted as used; which copy stays is decided at the end. */
  #takeBackFirst(blob: IndexedPack['blobs'][number], slot: number): void {
    const first = this.#index.find(blob.id, blob.type);
    const pack = first && this.#index.packNumber(first.packId);
    const usage = pack === undefined ? undefined : this.#packs[pack];
    if (first === undefined || pack === undefined || usage === undefined)
      throw changedMeanwhile(first?.packId ?? blob.id);
    usage.usedBlobs--;
    usage.usedBytes -= first.length;
    this.#copies.add({ slot, pack, bytes: first.length });
  }
}

/**
 * The most used packs keep their copies, so that data which an interrupted prune copied is not copied again.
 */
function chooseCopies(packs: PackUsage[], copies: BlobCopyList, marks: BlobMarks): void {
  const byPack = copies.byPack(packs.length);
  const order = byPack.packs();
  const of = (pack: number): PackUsage => packs[pack] as PackUsage;
  order.sort((a, b) => of(a).unusedBytes - of(b).unusedBytes || of(b).usedBytes - of(a).usedBytes || a - b);
  for (const pack of order) {
    const usage = of(pack);
    for (const { slot, bytes } of byPack.copiesOf(pack)) {
      if (marks.keep(slot, pack)) {
        usage.usedBlobs++;
        usage.usedBytes += bytes;
        continue;
      }
      usage.unusedBlobs++;
      usage.unusedBytes += bytes;
      usage.duplicateBlobs++;
      usage.duplicateBytes += bytes;
    }
  }
}

function changedMeanwhile(id: string): AppError {
  return new AppError('conflict', `The index of pack "${id.slice(0, 8)}" changed while it was read`, {
    hint: 'Another program works in the repository without a lock. Find it before you run this again.',
  });
}

function contradiction(id: string): AppError {
  return new AppError('integrity', `Two index files contradict each other about pack "${id.slice(0, 8)}"`, {
    hint: 'Run "holdfast repair index", then this again.',
  });
}

interface BlobCopy {
  readonly slot: number;
  readonly pack: number;
  /** Stored size. */
  readonly bytes: number;
}

const fields = 3;

/** A long list of copies in flat memory: after a killed prune, every blob may have two. */
class BlobCopyList {
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

  /** The copies grouped by pack; `packCount` is one more than the highest pack number. */
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

  /** The packs that hold any of the copies. */
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
