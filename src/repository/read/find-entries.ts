import type { ByteString } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { FindOptions, SnapshotEntry } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';
import { entryOfNode } from './entries.ts';

/** Searches the trees of several snapshots. A shared tree without matches is read only once. */
export class EntryFinder {
  readonly #reader: BlobReader;
  readonly #index: BlobIndex;
  readonly #options: Pick<FindOptions, 'matches' | 'isAnywhere' | 'signal'>;
  /** By the tree's slot in the index: 1 when nothing below it matches. */
  readonly #barren: Uint8Array;
  #found = 0;

  constructor(
    reader: BlobReader,
    index: BlobIndex,
    options: Pick<FindOptions, 'matches' | 'isAnywhere' | 'signal'>,
  ) {
    this.#reader = reader;
    this.#index = index;
    this.#options = options;
    this.#barren = new Uint8Array(options.isAnywhere ? index.slotCount : 0);
  }

  /** Depth first, sorted by bytes. */
  async *findBelow(tree: string, folder: ByteString = ''): AsyncGenerator<SnapshotEntry> {
    const { signal, matches, isAnywhere } = this.#options;
    if (signal?.aborted) throw new AppError('cancelled', 'The search was stopped');
    const slot = this.#index.slotOf(tree, 'tree');
    if (this.#barren[slot] === 1) return;
    const foundBefore = this.#found;
    for (const node of await this.#reader.readTree(tree, { signal })) {
      const entry = entryOfNode(node, folder === '' ? node.name : `${folder}/${node.name}`);
      if (!entry) continue;
      if (matches(entry)) {
        this.#found++;
        yield entry;
      }
      if (node.subtree !== undefined) yield* this.findBelow(node.subtree, entry.path);
    }
    if (isAnywhere && slot >= 0 && this.#found === foundBefore) this.#barren[slot] = 1;
  }
}
