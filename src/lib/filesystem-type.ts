import { statfsSync } from 'node:fs';

/** The kernel's numbers for file systems, as statfs(2) gives them. */
export const filesystemType = {
  /** And ext2 and ext3. */
  ext4: 0xef53,
  xfs: 0x5846_5342,
  btrfs: 0x9123_683e,
  f2fs: 0xf2f5_2010,
  tmpfs: 0x0102_1994,
  overlayfs: 0x794c_7630,
  zfs: 0x2fc1_2fc1,
} as const;

/** True where a thing keeps its inode number: some file systems, those of programs above all, give it another now and then. */
export function hasLastingInodes(path: string): boolean {
  const { type } = statfsSync(path);
  return Object.values<number>(filesystemType).includes(type);
}
