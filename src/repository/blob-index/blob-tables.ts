import type { BlobType } from '../pack/pack-header.ts';
import { BlobPrinter, newPrintKey } from './blob-print.ts';
import { type BlobTable, BlobTableView, createBlobTable, fullness, type TablePlace } from './blob-table.ts';

/** Tables in the form given to another thread. */
export interface SharedTables {
  readonly tables: readonly BlobTable[];
  readonly printKey: Int32Array;
}

/**
 * Tables in order of age; lookups query all. The newest table without places takes claimed blobs, the newest
 * with places takes located ones; where there is only one kind, it takes everything. A thread that does not
 * know the newest table yet uses the previous one, and at worst stores a blob twice, which the format allows.
 */
export class BlobTables {
  readonly #views: BlobTableView[] = [];
  readonly #printKey: Int32Array;
  readonly #printer: BlobPrinter;
  #toClaim: BlobTableView | undefined;
  #toPlace: BlobTableView | undefined;

  constructor({ tables, printKey }: SharedTables) {
    this.#printKey = printKey;
    this.#printer = new BlobPrinter(printKey);
    for (const table of tables) this.append(table);
  }

  static of(tables: readonly BlobTable[]): BlobTables {
    return new BlobTables({ tables, printKey: newPrintKey() });
  }

  /** For blobs with known places. */
  static withPlaces(expectedBlobs: number): BlobTables {
    return BlobTables.of([createBlobTable(expectedBlobs, { hasPlaces: true })]);
  }

  /** For blobs whose presence is all that matters. */
  static withoutPlaces(expectedBlobs: number): BlobTables {
    return BlobTables.of([createBlobTable(expectedBlobs, { hasPlaces: false })]);
  }

  get shared(): SharedTables {
    return { tables: this.#views.map((view) => view.table), printKey: this.#printKey };
  }

  append(table: BlobTable): void {
    const view = new BlobTableView(table);
    this.#views.push(view);
    if (table.hasPlaces) this.#toPlace = view;
    else this.#toClaim = view;
  }

  /**
   * Adds a table when one gets full, half as large as all of its kind together, and returns it for the other
   * threads.
   */
  grow(): BlobTable | undefined {
    const full = [this.#toClaim, this.#toPlace].find((view) => view?.isFull);
    if (full === undefined) return undefined;
    const { hasPlaces } = full.table;
    const slots = this.#views.reduce(
      (sum, { table }) => sum + (table.hasPlaces === hasPlaces ? table.capacity : 0),
      0,
    );
    const table = createBlobTable((slots / 2) * fullness, { hasPlaces });
    this.append(table);
    return table;
  }

  has(id: Int32Array, type: BlobType): boolean {
    const print = this.#printer.print(id, type);
    return this.#views.some((view) => view.has(print));
  }

  /** The number of slots of all tables. */
  get slotCount(): number {
    return this.#views.reduce((sum, { table }) => sum + table.capacity, 0);
  }

  /**
   * A number below `slotCount` unique to this blob, which stays when tables are added; -1 when the blob is
   * unknown.
   */
  slotOf(id: Int32Array, type: BlobType): number {
    const print = this.#printer.print(id, type);
    let base = 0;
    for (const view of this.#views) {
      const slot = view.slotOf(print);
      if (slot >= 0) return base + slot;
      base += view.table.capacity;
    }
    return -1;
  }

  get(id: Int32Array, type: BlobType): TablePlace | undefined {
    const print = this.#printer.print(id, type);
    for (const view of this.#views) {
      const place = view.get(print);
      if (place) return place;
    }
    return undefined;
  }

  /** True when the blob was unknown and is now claimed by the caller, who must store it. */
  claim(id: Int32Array, type: BlobType): boolean {
    const print = this.#printer.print(id, type);
    const taker = viewOr(this.#toClaim, this.#toPlace);
    for (const view of this.#views) if (view !== taker && view.has(print)) return false;
    return taker.claim(print);
  }

  /** Adds a stored blob to the newest table of the kind, unless it is known. */
  add(id: Int32Array, type: BlobType, place: TablePlace): boolean {
    return viewOr(this.#toPlace, this.#toClaim).add(this.#printer.print(id, type), place);
  }

  /** Adds a stored blob whose place is not needed. */
  addWithoutPlace(id: Int32Array, type: BlobType): boolean {
    return viewOr(this.#toClaim, this.#toPlace).claim(this.#printer.print(id, type));
  }
}

function viewOr(first: BlobTableView | undefined, second: BlobTableView | undefined): BlobTableView {
  const view = first ?? second;
  if (!view) throw new Error('A blob index needs a table');
  return view;
}
