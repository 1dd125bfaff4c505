import type { TreeNode } from '../format/node.ts';
import type { SnapshotEntry, WorkOptions } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';
import { entryOfNode } from './entry-of-node.ts';
import type { Found } from './find-in-snapshot.ts';
import { HardLinks } from './hard-links.ts';
import { walkTreeNodes } from './walk-tree.ts';

/** What was found in a snapshot, and all below it: depth first, sorted by bytes. Paths are below what was found. */
export async function* walkEntries(
  reader: BlobReader,
  found: Found,
  { signal, depth }: WorkOptions & { readonly depth?: number },
): AsyncGenerator<SnapshotEntry> {
  const first = entryOfFound(found);
  if (first) yield first;
  if (found.subtree === undefined) return;
  const links = new HardLinks();
  for await (const { node, path } of walkTreeNodes(reader, found.subtree, { signal, depth })) {
    const entry = entryOfNode(node, path, links.linkTo(node, path));
    if (entry) yield entry;
  }
}

function entryOfFound(node: Found): SnapshotEntry | undefined {
  if (node.name !== undefined) return entryOfNode(node as TreeNode, '');
  const { subtree = '' } = node;
  return {
    path: '',
    type: 'dir',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    contentKey: subtree,
    ctimeNs: 0n,
    inode: 0n,
  };
}
