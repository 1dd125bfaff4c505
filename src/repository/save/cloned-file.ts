import { closeSync, constants, openSync } from 'node:fs';
import { cloneFile, inodeFlag, readInodeFlags, setInodeFlag } from '../../lib/ioctl.ts';
import { type FileStat, statOpen } from '../../lib/posix-at.ts';
import { listXattrs } from '../../lib/posix.ts';
import { leaveProject } from '../lib/leave-project.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import { flagsNotKept } from './not-kept.ts';
import { type EarlyClone, renewClone } from './renew-clone.ts';

/** A file as it was at one moment: its blocks are shared with the file, which may be written to again. */
export interface ClonedFile extends Disposable {
  /** Holds the content, and no name, time or attribute of the file. */
  readonly fd: number;
  readonly stat: FileStat;
  readonly xattrs: readonly ExtendedAttribute[];
  /** Attributes of the file that are in no snapshot. */
  readonly flags: number;
}

/** Linux's O_TMPFILE: a file without a name, which is gone with the process however that ends. */
const withoutName = 0o20000000 | constants.O_DIRECTORY;

/** Of an open file, by a clone of before. Undefined where that cannot be told: that clone is still the caller's then. */
export function cloneAgain(original: number, before: EarlyClone): ClonedFile | undefined {
  const renewed = renewClone(before, original);
  if (renewed === undefined) return undefined;
  const { stat } = renewed;
  const { fd } = before;
  return {
    fd,
    stat,
    xattrs: listXattrs(original),
    flags: flagsNotKept(original),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** Of an open file. Undefined where the file system cannot do that. */
export function cloneOpen(original: number, folder: ByteString): ClonedFile | undefined {
  const fd = makeNameless(folder, original);
  if (fd === undefined) return undefined;
  try {
    const stat = statOpen(original);
    if (stat.isFile() && cloneFile(fd, original))
      return {
        fd,
        stat,
        xattrs: listXattrs(original),
        flags: flagsNotKept(original),
        [Symbol.dispose]: () => closeSync(fd),
      };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** An empty file in a folder, that may share the blocks of an open one. Undefined where that cannot be. */
export function makeNameless(folder: ByteString, original: number): number | undefined {
  try {
    const fd = openSync(toPath(folder), withoutName | constants.O_RDWR, 0o600);
    // XFS counts shared blocks as if each file had its own.
    leaveProject(fd);
    overwriteAs(fd, original);
    return fd;
  } catch {
    // A full or read-only disk, or a file system that has no such files: then the file itself is read.
    return undefined;
  }
}

/** Databases are often told to overwrite in place on btrfs (chattr +C): their files share blocks with such files only. */
function overwriteAs(fd: number, original: number): void {
  const flags = readInodeFlags(original);
  if (flags === undefined) return;
  const isInPlace = (flags & inodeFlag.noCopyOnWrite) !== 0;
  // What a folder says of compression is in the way.
  if (isInPlace)
    for (const other of [inodeFlag.compressed, inodeFlag.notCompressed]) setInodeFlag(fd, other, false);
  setInodeFlag(fd, inodeFlag.noCopyOnWrite, isInPlace);
}
