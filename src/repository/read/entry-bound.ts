import { AppError } from '../../model/errors.ts';
import type { BlobReader } from './blob-reader.ts';

/** As many as ext4 has inodes at most. */
export const mostEntries = 2 ** 32;

const firstLook = 2 ** 14;
const keptIds = 2 ** 16;

/**
 * Refuses a tree with more entries than can exist: a few trees that name each other many times stand for so many that
 * going through them never ends. They are counted once, each tree by itself, when hardly any of those that were walked
 * was another one.
 */
export class EntryBound {
  readonly #reader: BlobReader;
  readonly #root: string;
  readonly #distinct = new Set<string>();
  #walked = 0;
  #nextLook = firstLook;

  constructor(reader: BlobReader, root: string) {
    this.#reader = reader;
    this.#root = root;
  }

  /** Called for each tree that is walked. */
  async visit(tree: string): Promise<void> {
    if (this.#distinct.size < keptIds) this.#distinct.add(tree);
    if (++this.#walked < this.#nextLook) return;
    this.#nextLook *= 2;
    if (this.#distinct.size * 8 > this.#walked) return;
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
