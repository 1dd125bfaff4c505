import { blobsPerIndexFile, type IndexedPack } from '../blob-index/index-file.ts';

/** Gathers packs for index files of a good size; only those of one are in memory. */
export class IndexWriter {
  readonly #save: (packs: readonly IndexedPack[]) => Promise<void>;
  #packs: IndexedPack[] = [];
  #blobs = 0;

  /** `save` makes one durable index file of packs. */
  constructor(save: (packs: readonly IndexedPack[]) => Promise<void>) {
    this.#save = save;
  }

  async add(pack: IndexedPack): Promise<void> {
    this.#packs.push(pack);
    this.#blobs += pack.blobs.length;
    if (this.#blobs >= blobsPerIndexFile) await this.finish();
  }

  /** When it returns, every pack is in a durable index file. */
  async finish(): Promise<void> {
    const packs = this.#packs;
    if (packs.length === 0) return;
    this.#packs = [];
    this.#blobs = 0;
    await this.#save(packs);
  }
}
