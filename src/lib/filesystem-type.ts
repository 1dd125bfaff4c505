import { statfsSync } from 'node:fs';
import { type ByteString, toPath } from '../model/byte-string.ts';

/** The kernel's numbers for file systems, as statfs(2) gives them. */
export const filesystemType = {
  /** Also ext2 and ext3. */
  ext4: 0xef53,
  xfs: 0x5846_5342,
  btrfs: 0x9123_683e,
  f2fs: 0xf2f5_2010,
  tmpfs: 0x0102_1994,
  overlayfs: 0x794c_7630,
  zfs: 0x2fc1_2fc1,
} as const;

/**
 * True where files keep their inode numbers: some file systems, above all FUSE ones, change them now and
 * then.
 */
export function hasLastingInodes(path: string): boolean {
  const { type } = statfsSync(path);
  return Object.values<number>(filesystemType).includes(type);
}

const { ext4, xfs, btrfs, f2fs, tmpfs, overlayfs, zfs } = filesystemType;
const timely = new Set<number>([ext4, xfs, btrfs, f2fs]);

/** True where the first write to a clean page changes the file's times at once, even through a memory map. */
export function isTimely(directory: ByteString): boolean {
  return timely.has(statfsSync(toPath(directory)).type);
}

const local = new Set<number>([...timely, tmpfs, overlayfs, zfs]);

/** True where file times come from this machine's clock, not a server's. */
export function hasLocalClock(directory: ByteString): boolean {
  return local.has(statfsSync(toPath(directory)).type);
}
