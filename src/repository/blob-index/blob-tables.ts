import type { BlobType } from '../pack/pack-header.ts';
import { type BlobTable, BlobTableView, createBlobTable, type TablePlace } from './blob-table.ts';

/** The next table is used when the newest is this full. */
const fullness = 0.6;

/**
 * Tables in order of age: all are asked, the newest takes what is new. A thread that has not heard of the newest
 * table yet uses the one before, at worst storing a blob twice, which the format allows.
 */
export class BlobTables {
  readonly #views: BlobTableView[];

  constructor(tables: readonly BlobTable[]) {
    this.#views = tables.map((table) => new BlobTableView(table));
  }

  static create(expectedBlobs: number): BlobTables {
    return new BlobTables([createBlobTable(expectedBlobs)]);
  }

  get tables(): BlobTable[] {
    return this.#views.map((view) => view.table);
  }

  append(table: BlobTable): void {
    this.#views.push(new BlobTableView(table));
  }

  /** Adds a table of half the size of all when the newest gets full, and returns it for the other threads. */
  grow(): BlobTable | undefined {
    const newest = this.#newest;
    if (newest.taken < newest.table.capacity * fullness) return undefined;
    const table = createBlobTable((this.slotCount / 2) * fullness);
    this.append(table);
    return table;
  }

  has(id: Int32Array, type: BlobType): boolean {
    return this.#views.some((view) => view.has(id, type));
  }

  /** How many slots all tables have. */
  get slotCount(): number {
    return this.#views.reduce((sum, { table }) => sum + table.capacity, 0);
  }

  /** A number below `slotCount` that is this blob's alone, the same when tables are added; -1 when it is nowhere. */
  slotOf(id: Int32Array, type: BlobType): number {
    let base = 0;
    for (const view of this.#views) {
      const slot = view.slotOf(id, type);
      if (slot >= 0) return base + slot;
      base += view.table.capacity;
    }
    return -1;
  }

  get(id: Int32Array, type: BlobType): TablePlace | undefined {
    for (const view of this.#views) {
      const place = view.get(id, type);
      if (place) return place;
    }
    return undefined;
  }

  /** True when the blob was nowhere and is now claimed by the caller, who must store it. */
  claim(id: Int32Array, type: BlobType): boolean {
    const newest = this.#newest;
    for (const view of this.#views) if (view !== newest && view.has(id, type)) return false;
    return newest.claim(id, type);
  }

  /** Adds a stored blob unless it is there. */
  add(id: Int32Array, type: BlobType, place: TablePlace): boolean {
    return this.#newest.add(id, type, place);
  }

  get #newest(): BlobTableView {
    const view = this.#views.at(-1);
    if (!view) throw new Error('A blob index needs a table');
    return view;
  }
}
