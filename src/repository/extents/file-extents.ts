import { statfsSync } from 'node:fs';
import { btrfsExtentsOf } from './btrfs-extents.ts';
import { countExtents, type Extent, extentsOf } from './extent-map.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';

/**
 * The parts of an open file that hold written data, in their order, told in such a way that what two files of one file
 * system have in the same place is the same, as long as both are there. Undefined where that cannot be told.
 */
export function fileExtents(fd: number): readonly Extent[] | undefined {
  return isOnBtrfs(fd) ? btrfsExtentsOf(fd) : extentsOf(fd);
}

/** How many there are, reserved ones perhaps included. 0 where they cannot be told, or not by this user. */
export function countFileExtents(fd: number): number {
  // FIEMAP takes several for one there, and all of them have to be cloned.
  return (isOnBtrfs(fd) ? btrfsExtentsOf(fd)?.length : countExtents(fd)) ?? 0;
}

function isOnBtrfs(fd: number): boolean {
  return statfsSync(`/proc/self/fd/${fd}`).type === filesystemType.btrfs;
}
