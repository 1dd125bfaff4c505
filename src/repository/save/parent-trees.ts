import { isAppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import { ParentDirectory } from './parent-directory.ts';

/** Trees of the same data at an earlier time, for comparison. */
export interface KnownTrees {
  /** Undefined when there is no such directory: then everything is read again. */
  load(treeId: string | undefined): Promise<ParentDirectory | undefined>;
  /** True when an unchanged change time means an unchanged file. */
  trusts(ctimeNs: bigint): boolean;
  /** True when all of a file's blobs are stored. `ids` is called only where that is not known anyway. */
  hasBlobs(ids: () => Iterable<string>): boolean;
}

/**
 * The trees of the last backup. Only a file that was quiet for a while before that backup is trusted by its
 * times: a write within the clock's grain could leave them unchanged.
 */
export class ParentTrees implements KnownTrees {
  readonly #reader: BlobReader;
  readonly #index: BlobIndex;
  readonly #trustBeforeNs: bigint;

  constructor(reader: BlobReader, index: BlobIndex, takenAtMs: number) {
    this.#reader = reader;
    this.#index = index;
    this.#trustBeforeNs = BigInt(takenAtMs - 1000) * 1_000_000n;
  }

  /** Undefined when the parent has no such directory, or its tree is damaged: then everything is read again. */
  async load(treeId: string | undefined): Promise<ParentDirectory | undefined> {
    if (treeId === undefined) return undefined;
    try {
      return new ParentDirectory(treeId, await this.#reader.read(treeId, 'tree'));
    } catch (error) {
      if (isAppError(error, 'integrity') || isAppError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** True when an unchanged change time means an unchanged file. */
  trusts(ctimeNs: bigint): boolean {
    return ctimeNs !== 0n && ctimeNs < this.#trustBeforeNs;
  }

  hasBlobs(ids: () => Iterable<string>): boolean {
    for (const id of ids()) if (!this.#index.has(id, 'data')) return false;
    return true;
  }
}
