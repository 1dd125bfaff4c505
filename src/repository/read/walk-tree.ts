import type { ByteString } from '../../model/byte-string.ts';
import type { TreeNode } from '../format/node.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { BlobReader } from './blob-reader.ts';

export interface WalkedNode {
  readonly node: TreeNode;
  /** Relative to where the walk began. */
  readonly path: ByteString;
}

/** Every node below a tree, depth first, a directory before what is in it. `depth` 1 is the tree itself only. */
export async function* walkTreeNodes(
  reader: BlobReader,
  tree: string,
  options: StoreOptions & { readonly depth?: number | undefined; readonly prefix?: ByteString } = {},
): AsyncGenerator<WalkedNode> {
  const { depth = Number.POSITIVE_INFINITY, prefix = '', signal } = options;
  if (depth < 1) return;
  signal?.throwIfAborted();
  for (const node of await reader.readTree(tree, { signal })) {
    const path = prefix === '' ? node.name : `${prefix}/${node.name}`;
    yield { node, path };
    if (node.subtree !== undefined) {
      yield* walkTreeNodes(reader, node.subtree, { signal, depth: depth - 1, prefix: path });
    }
  }
}
