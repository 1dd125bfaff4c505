import { type IndexedPack, saveIndexFile } from '../blob-index/index-file.ts';
import type { FileCodec } from '../format/repository-file.ts';

/** An index file has about this many blobs at most, as restic's have. */
export const blobsPerIndexFile = 40_000;

/** Writes index files of a good size; only one is in memory. */
export class IndexWriter {
  readonly #codec: FileCodec;
  #packs: IndexedPack[] = [];
  #blobs = 0;

  constructor(codec: FileCodec) {
    this.#codec = codec;
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
    await saveIndexFile(this.#codec, packs);
  }
}
