import { statfsSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import type { Unwatched } from '../../volumes/index.ts';
import type { FoundPlace } from './plan-write.ts';

/** The room on a disk, as its file system tells it. */
export interface DiskRoom {
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly capacityBytes: number;
}

/** Null where it cannot be told. */
export function roomAt(path: ByteString): DiskRoom | null {
  try {
    const { blocks, bfree, bavail, bsize } = statfsSync(toPath(path));
    return {
      usedBytes: (blocks - bfree) * bsize,
      freeBytes: bavail * bsize,
      capacityBytes: blocks * bsize,
    };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return null;
  }
}

/** One that does not answer keeps what was last known of its use, and its history. */
export function foundDisk(path: ByteString, room: DiskRoom | Unwatched): FoundPlace {
  const facts = {
    ...({ kind: 'disk', name: toPrintable(path), anonymous: false, disk: undefined } as const),
    ...{ lineage: undefined, driver: undefined, stack: undefined },
  };
  if ('reason' in room)
    return {
      ...{ ...facts, problem: room.reason, capacityBytes: undefined, freeBytes: undefined },
      size: undefined,
    };
  const { usedBytes, freeBytes, capacityBytes } = room;
  return {
    ...{ ...facts, problem: undefined, capacityBytes, freeBytes },
    size: { bytes: usedBytes, files: undefined, way: 'told', atMs: Date.now() },
  };
}
