import type { ByteString } from '../../model/byte-string.ts';
import type { TreeNode } from '../format/node.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { BlobReader } from './blob-reader.ts';

/** The node at a path below a tree, or undefined. The path has at least one part. */
export async function findNode(
  reader: BlobReader,
  tree: string,
  parts: readonly ByteString[],
  options?: StoreOptions,
): Promise<TreeNode | undefined> {
  let subtree: string | undefined = tree;
  let found: TreeNode | undefined;
  for (const part of parts) {
    if (subtree === undefined) return undefined;
    const nodes = await reader.readTree(subtree, options);
    found = nodes.find((node) => node.name === part);
    subtree = found?.subtree;
  }
  return found;
}
