import { closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';

const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)');
const getFlags = 0x8008_6601;
const setFlags = 0x4008_6602;
const immutable = 0x10;

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
    const flags = Buffer.alloc(8);
    if (ioctl(fd, getFlags, 'void *', flags) !== 0) return false;
    const now = flags.readUInt32LE();
    const wanted = isImmutable ? now | immutable : now & ~immutable;
    flags.writeUInt32LE(wanted >>> 0);
    return wanted === now || ioctl(fd, setFlags, 'void *', flags) === 0;
  } finally {
    closeSync(fd);
  }
}
