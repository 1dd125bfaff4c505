import { Breather } from '../../lib/breathe.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { TreeNode } from '../format/node.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { BlobReader } from './blob-reader.ts';

export interface WalkedNode {
  readonly node: TreeNode;
  /** Relative to where the walk began. */
  readonly path: ByteString;
}

interface WalkOptions extends StoreOptions {
  readonly depth?: number | undefined;
  readonly prefix?: ByteString;
  readonly breather?: Breather;
}

/** Every node below a tree, depth first, a directory before what is in it. `depth` 1 is the tree itself only. */
export async function* walkTreeNodes(
  reader: BlobReader,
  tree: string,
  options: WalkOptions = {},
): AsyncGenerator<WalkedNode> {
  const { depth = Number.POSITIVE_INFINITY, prefix = '', signal } = options;
  const { breather = new Breather('reading a snapshot', signal) } = options;
  if (depth < 1) return;
  for (const node of await reader.readTree(tree, { signal })) {
    // Trees come from memory as often as not, so that nothing else would ever get its turn.
    breather.check();
    if (breather.isDue()) await breather.breathe();
    const path = prefix === '' ? node.name : `${prefix}/${node.name}`;
    yield { node, path };
    if (node.subtree !== undefined) {
      yield* walkTreeNodes(reader, node.subtree, { signal, depth: depth - 1, prefix: path, breather });
    }
  }
}
