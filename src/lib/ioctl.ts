import koffi from 'koffi';

/** ioctl(2): after the request come the type and the value of its argument. 0 unless it failed. */
export const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, ...)');

const ficlone = 0x4004_9409;
const ficloneRange = 0x4020_940d;

/**
 * Makes one open file share all blocks of another, holes included: at once, whatever its size. False, with no
 * effect, where the file system cannot, or the two are on different ones.
 */
export function cloneFile(toFd: number, fromFd: number): boolean {
  return ioctl(toFd, ficlone, 'int', fromFd) === 0;
}

export interface FileRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The same for a range, which begins and ends on blocks, or ends where both files do. On false, the rest of
 * both is unchanged.
 */
export function cloneRange(toFd: number, fromFd: number, { offset, length }: FileRange): boolean {
  const range = Buffer.alloc(32);
  range.writeBigInt64LE(BigInt(fromFd), 0);
  range.writeBigUInt64LE(BigInt(offset), 8);
  range.writeBigUInt64LE(BigInt(length), 16);
  range.writeBigUInt64LE(BigInt(offset), 24);
  return ioctl(toFd, ficloneRange, 'void *', range) === 0;
}

const getFlags = 0x8008_6601;
const setFlags = 0x4008_6602;

/** From linux/fs.h. */
export const inodeFlag = {
  compressed: 0x4,
  immutable: 0x10,
  appendOnly: 0x20,
  notCompressed: 0x400,
  noCopyOnWrite: 0x80_0000,
} as const;

/** The chattr(1) attributes of an open file or directory. Undefined where the file system has none. */
export function readInodeFlags(fd: number): number | undefined {
  const flags = Buffer.alloc(8);
  return ioctl(fd, getFlags, 'void *', flags) === 0 ? flags.readUInt32LE() : undefined;
}

/** Sets or clears one attribute. False where that is impossible or not permitted. */
export function setInodeFlag(fd: number, flag: number, isSet: boolean): boolean {
  const now = readInodeFlags(fd);
  if (now === undefined) return false;
  const wanted = isSet ? now | flag : now & ~flag;
  const flags = Buffer.alloc(8);
  flags.writeUInt32LE(wanted >>> 0);
  return wanted === now || ioctl(fd, setFlags, 'void *', flags) === 0;
}
