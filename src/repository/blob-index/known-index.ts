import type { FileCodec } from '../format/repository-file.ts';
import type { StoreOptions } from '../stores/store.ts';
import { type BlobIndex, readIndexFiles } from './blob-index.ts';

/** The index for those who only read: it is read again when other index files are stored than before. */
export class KnownIndex {
  readonly #codec: FileCodec;
  #names = '';
  #index: BlobIndex | undefined;

  constructor(codec: FileCodec) {
    this.#codec = codec;
  }

  /**
   * As the store has it now. Goes without the index files that are damaged: a blob that only they know is told as missing.
   * One that is out of reach ends a restore, too: it would leave out, and call lost, what is there.
   */
  async current(options: StoreOptions): Promise<BlobIndex> {
    const files = await this.#codec.store.list('index', options);
    const names = files
      .map(({ name }) => name)
      .toSorted()
      .join();
    if (this.#index !== undefined && names === this.#names) return this.#index;
    let isWhole = true;
    const notWhole = (): void => void (isWhole = false);
    const index = await readIndexFiles(this.#codec, files, {
      ...options,
      onDamaged: notWhole,
      onGone: notWhole,
    });
    this.#index = index;
    // What is not whole is read again the next time.
    this.#names = isWhole ? names : 'not whole';
    return index;
  }

  /** As it was read last, if it ever was: for what a walk has just named. */
  async atHand(options: StoreOptions): Promise<BlobIndex> {
    return this.#index ?? (await this.current(options));
  }

  forget(): void {
    this.#index = undefined;
  }
}
