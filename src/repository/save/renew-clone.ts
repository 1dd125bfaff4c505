import { ftruncateSync } from 'node:fs';
import { cloneRange } from '../../lib/ioctl.ts';
import { differingRanges, type Extent, fileExtents } from '../extents/file-extents.ts';
import { type FileStat, statOpen } from '../../lib/posix-at.ts';
import { hasChanged } from './file-reader.ts';

/** No file system has larger ones. */
const blockBytes = 64 * 1024;

/** A file as it was, but for what is behind its last whole part. */
export interface EarlyClone {
  readonly fd: number;
  /** Where it is on the disk. */
  readonly extents: readonly Extent[];
}

export interface Renewed {
  /** How much is shared anew. */
  readonly bytes: number;
  /** Of the file. */
  readonly stat: FileStat;
}

/**
 * Makes a clone what its file has become since, by what is in other places on the disk now: a place that the clone
 * holds on to is given to nobody else, and who writes to the file there is given another one. Undefined where that is not
 * to be told, or not worth it, or where the file is not still: the clone is of no use then.
 */
export function renewClone({ fd: clone, extents }: EarlyClone, original: number): Renewed | undefined {
  // What is written past the cache and under way is waited for, as for a clone of all of it.
  if (!cloneRange(clone, original, { offset: 0, length: blockBytes })) return undefined;
  const before = statOpen(original);
  const sizeBytes = Number(before.size);
  if (statOpen(clone).size !== before.size) ftruncateSync(clone, sizeBytes);
  const now = fileExtents(original);
  if (now === undefined) return undefined;
  const ranges = differingRanges(now, extents, sizeBytes);
  // Each takes about as long as an extent of a whole clone.
  if (ranges.length > now.length / 2) return undefined;
  for (const range of ranges) if (!cloneRange(clone, original, range)) return undefined;
  if (hasChanged(before, statOpen(original))) return undefined;
  return { bytes: ranges.reduce((sum, { length }) => sum + length, blockBytes), stat: before };
}
