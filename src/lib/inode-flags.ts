import { ioctl } from './ioctl.ts';

const getFlags = 0x8008_6601;
const setFlags = 0x4008_6602;

/** Of linux/fs.h. */
export const inodeFlag = {
  compressed: 0x4,
  immutable: 0x10,
  appendOnly: 0x20,
  notCompressed: 0x400,
  noCopyOnWrite: 0x80_0000,
} as const;

/** What chattr(1) shows of an open file or directory. Undefined where the file system has nothing of the kind. */
export function readInodeFlags(fd: number): number | undefined {
  const flags = Buffer.alloc(8);
  return ioctl(fd, getFlags, 'void *', flags) === 0 ? flags.readUInt32LE() : undefined;
}

/** Sets or takes away one of them. False where that cannot be, or this user may not. */
export function setInodeFlag(fd: number, flag: number, isSet: boolean): boolean {
  const now = readInodeFlags(fd);
  if (now === undefined) return false;
  const wanted = isSet ? now | flag : now & ~flag;
  const flags = Buffer.alloc(8);
  flags.writeUInt32LE(wanted >>> 0);
  return wanted === now || ioctl(fd, setFlags, 'void *', flags) === 0;
}
