import { closeSync, constants, openSync } from 'node:fs';
import { inodeFlag, setInodeFlag } from '../../lib/inode-flags.ts';

/**
 * Makes a directory one that nobody can write to, root neither, or takes that back. False where the file system has no
 * such flag, or this user may not set it.
 */
export function setImmutable(path: string, isImmutable: boolean): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return false;
  }
  try {
    return setInodeFlag(fd, inodeFlag.immutable, isImmutable);
  } finally {
    closeSync(fd);
  }
}
