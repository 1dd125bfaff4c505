import { randomInt } from 'node:crypto';
import { AppError } from '../../model/errors.ts';
import type { BlobReader } from './blob-reader.ts';

/** The maximum number of inodes of ext4. */
export const mostEntries = 2 ** 32;

const firstLook = 2 ** 14;
const keptIds = 2 ** 16;

/**
 * Refuses a tree with more entries than can exist: a few trees that refer to each other many times can stand
 * for so many that a walk never ends. Entries are counted, each tree once, when hardly any of the walked
 * trees were distinct.
 */
export class EntryBound {
  readonly #reader: BlobReader;
  readonly #root: string;
  readonly #distinct = new DistinctIds();
  #walked = 0;
  #nextLook = firstLook;

  constructor(reader: BlobReader, root: string) {
    this.#reader = reader;
    this.#root = root;
  }

  /** Called for each tree that is walked. */
  async visit(tree: string): Promise<void> {
    this.#distinct.add(tree);
    if (++this.#walked < this.#nextLook) return;
    this.#nextLook *= 2;
    if (this.#distinct.estimate * 8 > this.#walked) return;
    this.#nextLook = Number.POSITIVE_INFINITY;
    const count = await this.#count(this.#root, new Map());
    if (count <= mostEntries) return;
    throw new AppError(
      'integrity',
      `The snapshot names ${count} entries, more than any file system can hold`,
      {
        hint: 'It was not made by a backup. Run "holdfast check" to see where it says so.',
      },
    );
  }

  async #count(tree: string, known: Map<string, number>): Promise<number> {
    const before = known.get(tree);
    if (before !== undefined) return before;
    let count = 0;
    for (const { subtree } of await this.#reader.readTree(tree))
      count += 1 + (subtree === undefined ? 0 : await this.#count(subtree, known));
    known.set(tree, count);
    return count;
  }
}

/**
 * Estimates the number of distinct ids within a few percent, in the memory of some: when too many are kept,
 * only every second id counts, by its bits, for two. Which half counts is random for each walk: otherwise
 * trees could be crafted so that all of them count.
 */
class DistinctIds {
  readonly #drawn = randomInt(2 ** 32);
  #kept = new Set<string>();
  #halvings = 0;

  get estimate(): number {
    return this.#kept.size * 2 ** this.#halvings;
  }

  add(id: string): void {
    if (!this.#counts(id)) return;
    this.#kept.add(id);
    if (this.#kept.size <= keptIds) return;
    this.#halvings++;
    this.#kept = new Set([...this.#kept].filter((one) => this.#counts(one)));
  }

  #counts(id: string): boolean {
    const differing = (parseInt(id.slice(0, 8), 16) ^ this.#drawn) >>> 0;
    return differing % 2 ** this.#halvings === 0;
  }
}
