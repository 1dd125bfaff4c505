import { hash } from 'node:crypto';
import { packDevice } from '../../lib/posix.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { type ByteString, toBytes } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import type { TreeNode } from '../format/node.ts';
import { plainDirectoryNode } from './root-tree.ts';

/** The node of an entry that is not on a local file system, without content and subtree. */
export function nodeOfEntry(entry: Entry, names: UserNames): TreeNode {
  const isDirectory = entry.type === 'dir';
  const { deviceMajor = 0, deviceMinor = 0 } = entry;
  return {
    ...plainDirectoryNode,
    name: nameOfEntry(entry.path),
    type: entry.type,
    mode: entry.mode,
    mtimeNs: entry.mtimeNs,
    atimeNs: entry.mtimeNs,
    uid: entry.uid,
    gid: entry.gid,
    user: names.user(entry.uid),
    group: names.group(entry.gid),
    size: entry.size,
    // A stream names a file's hard links only later: every file is written as if it had one link, under a
    // number of its own.
    inode: isDirectory ? 0n : inodeOf(entry.path),
    deviceId: isDirectory ? 0n : 1n,
    links: isDirectory ? 0 : 2,
    linkTarget: entry.linkTarget,
    xattrs: entry.xattrs ?? [],
    dataRuns: entry.dataRuns,
    device: packDevice(deviceMajor, deviceMinor),
  };
}

export function nameOfEntry(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Always the same for a path, so that an unchanged directory has an unchanged tree. */
function inodeOf(path: ByteString): bigint {
  return hash('sha256', toBytes(path), 'buffer').readBigUInt64LE() >> 1n;
}
