import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import type { StoreOptions } from '../stores/store.ts';

const unknownSize = -1;

/** How many bytes the files below trees have; what snapshots share is read once. */
export class RestorableSizes {
  readonly #reader: BlobReader;
  readonly #index: BlobIndex;
  /** By the tree's slot in the index. */
  #sizes: Float64Array | undefined;

  constructor(codec: FileCodec, index: BlobIndex) {
    this.#reader = new BlobReader(codec, index);
    this.#index = index;
  }

  async sizeOf(tree: string, options: StoreOptions): Promise<number> {
    this.#sizes ??= new Float64Array(this.#index.slotCount).fill(unknownSize);
    const slot = this.#index.slotOf(tree, 'tree');
    const known = this.#sizes[slot] ?? unknownSize;
    if (known !== unknownSize) return known;
    let bytes = 0;
    for (const { type, size, subtree } of await this.#reader.readTree(tree, options)) {
      if (type === 'file') bytes += size;
      if (subtree !== undefined) bytes += await this.sizeOf(subtree, options);
    }
    this.#sizes[slot] = bytes;
    return bytes;
  }
}
