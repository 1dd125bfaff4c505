import { ioctl } from './ioctl.ts';

const ficlone = 0x4004_9409;
const ficloneRange = 0x4020_940d;

/**
 * Makes one open file share all blocks of another, holes included: at once, whatever its size. False where the file
 * system cannot do that, or the two are on different ones; nothing has happened then.
 */
export function cloneFile(toFd: number, fromFd: number): boolean {
  return ioctl(toFd, ficlone, 'int', fromFd) === 0;
}

export interface FileRange {
  readonly offset: number;
  readonly length: number;
}

/** The same of a part, which begins and ends with blocks, or ends where both files do. False leaves the rest of both as it was. */
export function cloneRange(toFd: number, fromFd: number, { offset, length }: FileRange): boolean {
  const range = Buffer.alloc(32);
  range.writeBigInt64LE(BigInt(fromFd), 0);
  range.writeBigUInt64LE(BigInt(offset), 8);
  range.writeBigUInt64LE(BigInt(length), 16);
  range.writeBigUInt64LE(BigInt(offset), 24);
  return ioctl(toFd, ficloneRange, 'void *', range) === 0;
}
