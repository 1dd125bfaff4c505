import { fstatSync } from 'node:fs';
import type { FileStat } from '../../lib/posix-at.ts';
import { dataRuns, listXattrs } from '../../lib/posix.ts';
import type { UserNames } from '../../lib/user-names.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { DataRun, ExtendedAttribute } from '../../model/entry.ts';
import type { TreeNode } from '../format/node.ts';

export interface NodeParts {
  readonly name: ByteString;
  readonly stat: FileStat;
  readonly names: UserNames;
  readonly xattrs?: readonly ExtendedAttribute[];
  readonly content?: readonly string[];
  readonly dataRuns?: readonly DataRun[] | undefined;
  readonly linkTarget?: ByteString;
  readonly subtree?: string;
}

/** A node from the result of stat(2) and the extras. */
export function nodeOfStat(parts: NodeParts): TreeNode {
  const { stat, names } = parts;
  const type = typeOfStat(stat);
  const uid = Number(stat.uid);
  const gid = Number(stat.gid);
  return {
    name: parts.name,
    type,
    mode: Number(stat.mode) & 0o7777,
    mtimeNs: stat.mtimeNs,
    // As in restic: reading a file for a backup must not make its node new.
    atimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    uid,
    gid,
    user: names.user(uid),
    group: names.group(gid),
    inode: stat.ino,
    deviceId: type !== 'dir' && stat.nlink > 1n ? stat.dev : 0n,
    size: type === 'file' ? Number(stat.size) : 0,
    links: type === 'dir' ? 0 : Number(stat.nlink),
    linkTarget: parts.linkTarget,
    xattrs: parts.xattrs ?? [],
    dataRuns: parts.dataRuns,
    device: type === 'chardev' || type === 'blockdev' ? stat.rdev : 0n,
    content: parts.content ?? [],
    subtree: parts.subtree,
  };
}

export function typeOfStat(stat: FileStat): TreeNode['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  if (stat.isCharacterDevice()) return 'chardev';
  return stat.isBlockDevice() ? 'blockdev' : 'irregular';
}

/** What an open file has besides its stat and the `length` bytes that were read. */
export function extrasOfFile(
  fd: number,
  stat: FileStat,
  length: number,
): Pick<NodeParts, 'xattrs' | 'dataRuns'> {
  const xattrs = listXattrs(fd);
  const isSparse = stat.blocks * 512n < stat.size;
  const runs = isSparse ? runsOf(fd, length) : undefined;
  return { xattrs, dataRuns: runs && hasHoles(runs, length) ? runs : undefined };
}

/**
 * A file truncated during the read has nothing there now, but data that was read must not count as a hole.
 */
function runsOf(fd: number, length: number): DataRun[] | undefined {
  const end = Math.min(length, fstatSync(fd).size);
  const runs = dataRuns(fd, end);
  return runs && end < length ? [...runs, { offset: end, length: length - end }] : runs;
}

/** File systems with compression or inline data use fewer blocks than bytes without having holes. */
function hasHoles(runs: readonly DataRun[], size: number): boolean {
  return runs.reduce((sum, run) => sum + run.length, 0) < size;
}
