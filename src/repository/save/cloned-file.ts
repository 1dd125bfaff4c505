import { closeSync, constants, openSync } from 'node:fs';
import { cloneFile, inodeFlag, readInodeFlags, setInodeFlag, ioctl } from '../../lib/ioctl.ts';
import { withoutName } from '../../lib/nameless-file.ts';
import { type FileStat, statOpen } from '../../lib/posix-at.ts';
import { listXattrs } from '../../lib/posix.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import type { ExtendedAttribute } from '../../model/entry.ts';
import { flagsNotKept } from './not-kept.ts';
import { type EarlyClone, renewClone } from './renew-clone.ts';

/** A file as it was at one moment: it shares blocks with the original, which may be written to again. */
export interface ClonedFile extends Disposable {
  /** Has the content, but not the name, times or attributes of the original. */
  readonly fd: number;
  readonly stat: FileStat;
  readonly xattrs: readonly ExtendedAttribute[];
  /** Attributes of the original that no snapshot holds. */
  readonly flags: number;
}

/**
 * Clones an open file by updating an earlier clone. Undefined where that is impossible; the caller then still
 * owns the earlier clone.
 */
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

/** Clones an open file. Undefined where the file system cannot. */
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

/**
 * An empty, nameless file in a folder that may share blocks with an open one. Undefined where that is
 * impossible.
 */
export function makeNameless(folder: ByteString, original: number): number | undefined {
  try {
    const fd = openSync(toPath(folder), withoutName | constants.O_RDWR, 0o600);
    // XFS charges shared blocks to each file's project in full.
    leaveProject(fd);
    overwriteAs(fd, original);
    return fd;
  } catch {
    // The disk is full or read-only, or the file system has no nameless files: the original is read instead.
    return undefined;
  }
}

/**
 * On btrfs, databases are often set to overwrite in place (chattr +C): such files share blocks only with
 * files of the same setting.
 */
function overwriteAs(fd: number, original: number): void {
  const flags = readInodeFlags(original);
  if (flags === undefined) return;
  const isInPlace = (flags & inodeFlag.noCopyOnWrite) !== 0;
  // A compression setting inherited from the folder prevents it.
  if (isInPlace)
    for (const other of [inodeFlag.compressed, inodeFlag.notCompressed]) setInodeFlag(fd, other, false);
  setInodeFlag(fd, inodeFlag.noCopyOnWrite, isInPlace);
}

const getAttributes = 0x801c_581f;
const setAttributes = 0x401c_5820;
const attributesBytes = 28;
const projectAt = 12;

/**
 * Takes our own file out of the folder's project, so that it does not use the quota of the folder's programs.
 * Does nothing where there are no projects, or without the right.
 */
function leaveProject(fd: number): void {
  const attributes = Buffer.alloc(attributesBytes);
  if (ioctl(fd, getAttributes, 'void *', attributes) !== 0) return;
  if (attributes.readUInt32LE(projectAt) === 0) return;
  attributes.writeUInt32LE(0, projectAt);
  ioctl(fd, setAttributes, 'void *', attributes);
}
