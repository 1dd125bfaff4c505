import { AppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { IndexedPack } from '../blob-index/index-file.ts';
import type { BlobMarks } from './blob-marks.ts';
import { BlobCopyList } from './blob-copies.ts';

/** How much of a pack is used. */
export interface PackUsage {
  readonly id: string;
  /** As its blobs add up, not as it is stored. */
  readonly sizeBytes: number;
  readonly kind: 'data' | 'tree' | 'mixed';
  usedBlobs: number;
  usedBytes: number;
  unusedBlobs: number;
  unusedBytes: number;
  /** The part of the unused that is further copies of blobs which another pack keeps. */
  duplicateBlobs: number;
  duplicateBytes: number;
}

/** Counts, pack by pack, what of it is used. Packs are given as the index files list them, in the order of the index. */
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
      // Two index files may name a pack, as after a prune that was killed; they must say the same.
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

  /** The packs in the order of the index, after it is decided which copy of each blob stays. */
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

  /** The first place was counted as used; which of the copies stays is decided at the end. */
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

/** The cleanest packs keep their copies, so that what an interrupted prune has copied already is not copied again. */
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
