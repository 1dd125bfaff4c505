import { fstatSync, statfsSync } from 'node:fs';
import { btrfsExtentsOf } from './btrfs-extents.ts';
import { type Extent, extentsOf } from './extent-map.ts';
import { filesystemType } from './filesystem-type.ts';

/**
 * The parts of an open file that hold written data, in their order, told in such a way that what two files of one file
 * system have in the same place is the same, as long as both are there. Undefined where that cannot be told.
 */
export function fileExtents(fd: number): readonly Extent[] | undefined {
  const { type } = statfsSync(`/proc/self/fd/${fd}`);
  return type === filesystemType.btrfs
    ? btrfsExtentsOf(fd, fstatSync(fd, { bigint: true }).ino)
    : extentsOf(fd);
}
