import { AppError } from '../../model/errors.ts';
import { type IndexedPack, loadIndexFile, saveIndexFile } from '../blob-index/index-file.ts';
import { IndexWriter } from '../prune/index-writer.ts';
import type { RepairWork } from './repair-work.ts';

/** Writes index files, each read back before it counts. A dry run writes none. */
export class IndexRewriter {
  readonly #work: RepairWork;
  readonly #names = new Set<string>();
  readonly #writer = new IndexWriter((packs) => this.#save(packs));

  constructor(work: RepairWork) {
    this.#work = work;
  }

  /** The files that were written: they are none of those that are to go. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  async add(pack: IndexedPack): Promise<void> {
    if (!this.#work.dryRun) await this.#writer.add(pack);
  }

  /** When it returns, every pack is in a durable index file. */
  async finish(): Promise<void> {
    await this.#writer.finish();
  }

  async #save(packs: readonly IndexedPack[]): Promise<void> {
    const { codec, lock, signal } = this.#work;
    await lock?.assertHeld();
    const name = await saveIndexFile(codec, packs, { signal });
    const readBack = await loadIndexFile(codec, name, { signal });
    const isSame = readBack.length === packs.length && readBack.every(({ id }, i) => id === packs[i]?.id);
    if (!isSame) {
      throw new AppError('integrity', `The index file "${name.slice(0, 8)}" is not what was written`, {
        detail: 'Nothing was removed.',
        hint: 'Look for faults of the disk.',
      });
    }
    this.#names.add(name);
  }
}
