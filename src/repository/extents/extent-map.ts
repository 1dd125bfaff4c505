import { fstatSync } from 'node:fs';
import type { FileRange } from '../../lib/clone-file.ts';
import { ioctl } from '../../lib/ioctl.ts';

/** Where a part of a file is on its disk. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  /** On the disk, or from the start of what it is kept in. */
  readonly physical: number;
  /** Where what it is kept in begins, where that counts: what is compressed has many bytes at one place. */
  readonly within?: number;
  /** When that was written, in the file system's own count, where a place may be given to another meanwhile. */
  readonly generation?: number;
}

const fiemap = 0xc020_660b;
const headBytes = 32;
const extentBytes = 56;
const extentsPerCall = 4096;
const allOfIt = 0xffff_ffff_ffff_ffffn;

const flagSync = 1;
const last = 1;
const unwritten = 0x800;
/** Not on the disk yet, or not as it is in the file: where they are says nothing of what they hold. */
const unclear = 0x002 | 0x004 | 0x008 | 0x080 | 0x100 | 0x200 | 0x400;

/** How many parts a file is in on its disk. Undefined where the file system cannot tell. */
export function countExtents(fd: number): number | undefined {
  const head = requestFrom(0, { most: 0, flags: 0 });
  return ioctl(fd, fiemap, 'void *', head) === 0 ? head.readUInt32LE(20) : undefined;
}

/** Waits until all that was written to a file has a place on the disk. False where the file system cannot tell. */
export function settleExtents(fd: number): boolean {
  // It waits for all of it, whatever part is asked for.
  const request = requestFrom(0, { to: 1, most: 1, flags: flagSync });
  return ioctl(fd, fiemap, 'void *', request) === 0;
}

/**
 * The parts of a file that hold written data, in their order, once all that was written is on the disk. Undefined where
 * the file system cannot tell, or where a place does not stand for its content.
 */
export function extentsOf(fd: number): readonly Extent[] | undefined {
  const extents: Extent[] = [];
  // XFS keeps room behind the end of a file that grows, which has no place yet.
  const { size } = fstatSync(fd);
  for (let from = 0; from < size;) {
    const answer = requestFrom(from, { to: size, most: extentsPerCall, flags: flagSync });
    if (ioctl(fd, fiemap, 'void *', answer) !== 0) return undefined;
    const count = answer.readUInt32LE(20);
    for (let i = 0; i < count; i++) {
      const at = headBytes + i * extentBytes;
      const start = Number(answer.readBigUInt64LE(at));
      const end = start + Number(answer.readBigUInt64LE(at + 16));
      const physical = Number(answer.readBigUInt64LE(at + 8));
      const flags = answer.readUInt32LE(at + 40);
      if ((flags & unclear) !== 0 || end <= from || !Number.isSafeInteger(physical + end)) return undefined;
      // It is read as zeros, as a hole is.
      if ((flags & unwritten) === 0) extents.push({ start, end, physical });
      if ((flags & last) !== 0) return extents;
      from = end;
    }
    if (count === 0) return extents;
  }
  return extents;
}

interface Request {
  /** The end of the file unless given. */
  readonly to?: number;
  readonly most: number;
  readonly flags: number;
}

function requestFrom(offset: number, { to, most, flags }: Request): Buffer {
  const request = Buffer.alloc(headBytes + most * extentBytes);
  request.writeBigUInt64LE(BigInt(offset), 0);
  request.writeBigUInt64LE(to === undefined ? allOfIt : BigInt(to - offset), 8);
  request.writeUInt32LE(flags, 16);
  request.writeUInt32LE(most, 24);
  return request;
}

/** Where two files are not in the same places of one disk, up to an offset; pure. */
export function differingRanges(
  one: readonly Extent[],
  other: readonly Extent[],
  endBytes: number,
): FileRange[] {
  const ranges: { offset: number; length: number }[] = [];
  let [i, j] = [0, 0];
  for (let at = 0; at < endBytes;) {
    while ((one[i]?.end ?? Infinity) <= at) i++;
    while ((other[j]?.end ?? Infinity) <= at) j++;
    const next = Math.min(edgeAfter(one[i], at), edgeAfter(other[j], at), endBytes);
    if (!isSamePlace(one[i], other[j], at)) {
      const before = ranges.at(-1);
      if (before !== undefined && before.offset + before.length === at) before.length += next - at;
      else ranges.push({ offset: at, length: next - at });
    }
    at = next;
  }
  return ranges;
}

function edgeAfter(extent: Extent | undefined, at: number): number {
  if (extent === undefined) return Infinity;
  return extent.start > at ? extent.start : extent.end;
}

function isSamePlace(one: Extent | undefined, other: Extent | undefined, at: number): boolean {
  const here = reached(one, at);
  const there = reached(other, at);
  if (here === undefined || there === undefined) return here === there;
  return (
    here.within === there.within &&
    here.generation === there.generation &&
    here.physical - here.start === there.physical - there.start
  );
}

/** Undefined in a hole. */
function reached(extent: Extent | undefined, at: number): Extent | undefined {
  return extent === undefined || extent.start > at ? undefined : extent;
}
