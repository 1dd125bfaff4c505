import type { ByteString } from '../../model/byte-string.ts';
import { encodeNode, encodeNodeHead, type TreeNode } from '../format/node.ts';
import { idsIn, type ParentDirectory } from './parent-directory.ts';
import type { KnownTrees } from './parent-trees.ts';

/**
 * The text of an unchanged file's node, or undefined. Size, times and inode decide: no write keeps all of
 * these. `fresh` is the current node, without content.
 */
export function reusableNode(
  parent: ParentDirectory,
  fresh: TreeNode,
  parents: KnownTrees,
): ByteString | undefined {
  const text = parent.textOf(fresh.name);
  const head = encodeNodeHead(fresh);
  if (text?.startsWith(`${head},"content":[`)) {
    return parents.hasBlobs(() => idsIn(text, head.length)) ? text : undefined;
  }
  const known = parent.node(fresh.name);
  if (!known || !isSame(known, fresh) || !parents.hasBlobs(() => known.content)) return undefined;
  const { xattrs, content, dataRuns } = known;
  return encodeNode({ ...fresh, xattrs, content, dataRuns });
}

function isSame(known: TreeNode, fresh: TreeNode): boolean {
  return (
    known.type === 'file' &&
    known.size === fresh.size &&
    known.mtimeNs === fresh.mtimeNs &&
    known.ctimeNs === fresh.ctimeNs &&
    known.inode === fresh.inode
  );
}
