import { randomInt } from 'node:crypto';
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
 * About how many different ids there were, within a few percent, in the memory of some: when those that are kept become too
 * many, only every second id counts, by its own bits, and stands for two. Which of the two is drawn anew for each walk: trees
 * that were made so that all of them count would stand for any number.
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
