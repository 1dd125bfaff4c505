import { statfsSync } from 'node:fs';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { filesystemType } from './filesystem-type.ts';

const { ext4, xfs, btrfs, f2fs, tmpfs, overlayfs, zfs } = filesystemType;
const timely = new Set<number>([ext4, xfs, btrfs, f2fs]);

/** True where the first write to a page that is clean changes the file's times at once, even through a memory map. */
export function isTimely(directory: ByteString): boolean {
  return timely.has(statfsSync(toPath(directory)).type);
}

const local = new Set<number>([...timely, tmpfs, overlayfs, zfs]);

/** True where the times of files are of this machine's clock, and not of a server's. */
export function hasLocalClock(directory: ByteString): boolean {
  return local.has(statfsSync(toPath(directory)).type);
}
