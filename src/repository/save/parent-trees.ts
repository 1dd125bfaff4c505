import type { ByteString } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import type { BlobReader } from '../read/blob-reader.ts';

/** A directory as the parent snapshot has it. */
export interface ParentDirectory {
  readonly treeId: string;
  /** The exact text of the tree blob. */
  readonly text: Buffer;
  readonly nodes: ReadonlyMap<ByteString, TreeNode>;
}

/**
 * What the last backup saw. Only a file that was quiet for a while before that backup began is trusted by its times:
 * a write within the clock's grain could leave them as they were.
 */
export class ParentTrees {
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
      const text = await this.#reader.read(treeId, 'tree');
      return { treeId, text, nodes: new Map(decodeTree(text).map((node) => [node.name, node])) };
    } catch (error) {
      if (isAppError(error, 'integrity') || isAppError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** True when the file's times can be believed and all its content is in the repository. */
  canReuse(node: TreeNode): boolean {
    return (
      node.type === 'file' &&
      node.ctimeNs !== 0n &&
      node.ctimeNs < this.#trustBeforeNs &&
      node.content.every((id) => this.#index.has(id, 'data'))
    );
  }
}
