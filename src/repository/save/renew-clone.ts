import { ftruncateSync } from 'node:fs';
import { cloneRange } from '../../lib/ioctl.ts';
import { differingRanges, type Extent, fileExtents } from '../extents/file-extents.ts';
import { type FileStat, statOpen } from '../../lib/posix-at.ts';
import { hasChanged } from './file-reader.ts';

/** No file system has larger blocks. */
const blockBytes = 64 * 1024;

/** A file as it was, without what follows its last whole part. */
export interface EarlyClone {
  readonly fd: number;
  /** Its places on the disk. */
  readonly extents: readonly Extent[];
}

export interface Renewed {
  /** Bytes shared anew. */
  readonly bytes: number;
  /** The stat of the original. */
  readonly stat: FileStat;
}

/**
 * Updates a clone to its file's current state, by the places on disk that differ: a place that the clone
 * refers to is not reused, and a write to the file there gets another. Undefined where that cannot be
 * determined or does not pay, or where the file is not still: the clone is then useless.
 */
export function renewClone({ fd: clone, extents }: EarlyClone, original: number): Renewed | undefined {
  // Waits for direct writes under way, as cloning the whole file does.
  if (!cloneRange(clone, original, { offset: 0, length: blockBytes })) return undefined;
  const before = statOpen(original);
  const sizeBytes = Number(before.size);
  if (statOpen(clone).size !== before.size) ftruncateSync(clone, sizeBytes);
  const now = fileExtents(original);
  if (now === undefined) return undefined;
  const ranges = differingRanges(now, extents, sizeBytes);
  // Each range takes about as long as one extent of a whole clone.
  if (ranges.length > now.length / 2) return undefined;
  for (const range of ranges) if (!cloneRange(clone, original, range)) return undefined;
  if (hasChanged(before, statOpen(original))) return undefined;
  return { bytes: ranges.reduce((sum, { length }) => sum + length, blockBytes), stat: before };
}
