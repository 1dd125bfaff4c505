import { unpackDevice } from '../../lib/posix.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { EntryType } from '../../model/entry.ts';
import type { TreeNode } from '../format/node.ts';
import type { SnapshotEntry } from '../types.ts';

/** A node as an entry at `path`. Undefined for what no file system can hold again. */
export function entryOfNode(
  node: TreeNode,
  path: ByteString,
  hardLinkTo?: ByteString,
): SnapshotEntry | undefined {
  if (node.type === 'irregular') return undefined;
  const type: EntryType = node.type;
  return {
    path,
    type,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    mtimeNs: node.mtimeNs,
    size: type === 'file' ? node.size : 0,
    contentKey: type === 'dir' ? (node.subtree ?? '') : node.content.join(''),
    ctimeNs: node.ctimeNs,
    inode: node.inode,
    ...(node.linkTarget !== undefined && { linkTarget: node.linkTarget }),
    ...(hardLinkTo !== undefined && { hardLinkTo }),
    ...(node.xattrs.length > 0 && { xattrs: node.xattrs }),
    ...(node.dataRuns !== undefined && { dataRuns: node.dataRuns }),
    ...((type === 'chardev' || type === 'blockdev') && deviceParts(node.device)),
  };
}

function deviceParts(device: bigint): { deviceMajor: number; deviceMinor: number } {
  const { major, minor } = unpackDevice(device);
  return { deviceMajor: major, deviceMinor: minor };
}
