import { fstatSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { type FileRange, ioctl } from '../../lib/ioctl.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';

/**
 * The extents of an open file that hold written data, in order. Where two files of one file system have an
 * equal extent at the same offset, their content is equal, as long as both files exist. Undefined where that
 * cannot be determined.
 */
export function fileExtents(fd: number): readonly Extent[] | undefined {
  return isOnBtrfs(fd) ? btrfsExtentsOf(fd) : extentsOf(fd);
}

/**
 * How many extents a file has, possibly with preallocated ones. 0 where they cannot be read, or not by this
 * user.
 */
export function countFileExtents(fd: number): number {
  // FIEMAP merges several on btrfs, and all of them have to be cloned.
  return (isOnBtrfs(fd) ? btrfsExtentsOf(fd)?.length : countExtents(fd)) ?? 0;
}

function isOnBtrfs(fd: number): boolean {
  return statfsSync(`/proc/self/fd/${fd}`).type === filesystemType.btrfs;
}

/** Where a part of a file is on its disk. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  /** Offset on the disk; where `within` is present, offset in the containing extent. */
  readonly physical: number;
  /** Where the containing extent begins, on btrfs: many bytes of compressed data share one place. */
  readonly within?: number;
  /** The file system's generation of the write, where an address may be reused. */
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
/**
 * Flags of extents that are not on disk yet, or are stored in another form: their address says nothing of the
 * content.
 */
const unclear = 0x002 | 0x004 | 0x008 | 0x080 | 0x100 | 0x200 | 0x400;

/** How many extents a file has on disk. Undefined where the file system cannot tell. */
export function countExtents(fd: number): number | undefined {
  const head = requestFrom(0, { most: 0, flags: 0 });
  return ioctl(fd, fiemap, 'void *', head) === 0 ? head.readUInt32LE(20) : undefined;
}

/** Waits until all written data of a file has a place on disk. False where the file system cannot tell. */
function settleExtents(fd: number): boolean {
  // The sync covers the whole file, whatever range is requested.
  const request = requestFrom(0, { to: 1, most: 1, flags: flagSync });
  return ioctl(fd, fiemap, 'void *', request) === 0;
}

/**
 * The extents that hold written data, in order, once everything written is on disk. Undefined where the file
 * system cannot tell, or where an address does not identify content.
 */
function extentsOf(fd: number): readonly Extent[] | undefined {
  const extents: Extent[] = [];
  // XFS preallocates space behind the end of a growing file, which has no address yet.
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
      // A preallocated extent reads as zeros, like a hole.
      if ((flags & unwritten) === 0) extents.push({ start, end, physical });
      if ((flags & last) !== 0) return extents;
      from = end;
    }
    if (count === 0) return extents;
  }
  return extents;
}

interface Request {
  /** The end of the file by default. */
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

/** The ranges, up to an offset, in which two files do not share the same places of one disk; pure. */
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

/**
 * BTRFS_IOC_TREE_SEARCH_V2 of linux/btrfs.h: a search key of 104 bytes, the buffer's size, and the buffer.
 */
const treeSearch = 0xc070_9411;
const searchHeadBytes = 112;
const roomBytes = 256 * 1024;
const itemHeadBytes = 32;

/** Parts of `struct btrfs_file_extent_item` of linux/btrfs_tree.h. */
const extentData = 108;
const at = { generation: 0, encryption: 17, type: 20, address: 21, offset: 37, length: 45 };
const kinds = { written: 1, reserved: 2 };

const newestGeneration = 0xffff_ffff_ffff_ffffn;

/** Before Linux 6.1 the extents of a file may lack recent writes. */
const firstKernel = [6, 1];

/**
 * The extents of a file on btrfs that hold written data, in order, read from the file system's own tree once
 * everything written is in it. This takes a tenth of the time of FIEMAP, which also finds out for each extent
 * whether it is shared. Data that two files have in the same extent at the same offset is equal, compressed
 * or not, also while a balance moves it: the generation distinguishes an extent from another that reuses its
 * address. Undefined where this user may not look, or where an address does not identify content.
 */
function btrfsExtentsOf(fd: number): readonly Extent[] | undefined {
  if (!isKernelSince(release(), firstKernel) || !settleExtents(fd)) return undefined;
  const extents: Extent[] = [];
  const { ino: inode, size } = fstatSync(fd, { bigint: true });
  const room = Buffer.allocUnsafe(searchHeadBytes + roomBytes);
  // Preallocated space may lie arbitrarily far behind the end.
  for (let from = 0; from < size;) {
    if (!search(fd, room, { inode, from, size })) return undefined;
    const count = room.readUInt32LE(64);
    if (count === 0) return extents;
    let position = searchHeadBytes;
    for (let i = 0; i < count; i++) {
      const start = readWord(room, position + 16);
      const extent = readItem(room, position + itemHeadBytes, start);
      if (extent === 'unclear') return undefined;
      if (extent !== undefined) extents.push(extent);
      position += itemHeadBytes + room.readUInt32LE(position + 28);
      from = start + 1;
    }
    if (!Number.isSafeInteger(from)) return undefined;
  }
  return extents;
}

interface Sought {
  readonly inode: bigint;
  /** The first offset in the file. */
  readonly from: number;
  /** The size of the file. */
  readonly size: bigint;
}

/** Searches the tree of the open file, and writes the items into the buffer. */
function search(fd: number, room: Buffer, { inode, from, size }: Sought): boolean {
  room.fill(0, 0, searchHeadBytes);
  // From here to the end of the file, of any generation.
  const words = [0n, inode, inode, BigInt(from), size - 1n, 0n, newestGeneration];
  for (const [i, word] of words.entries()) room.writeBigUInt64LE(word, i * 8);
  room.writeUInt32LE(extentData, 56);
  room.writeUInt32LE(extentData, 60);
  room.writeUInt32LE(0xffff_ffff, 64);
  room.writeBigUInt64LE(BigInt(roomBytes), 104);
  return ioctl(fd, treeSearch, 'void *', room) === 0;
}

/** Undefined for an extent that reads as zeros. */
function readItem(room: Buffer, item: number, start: number): Extent | 'unclear' | undefined {
  const type = room.readUInt8(item + at.type);
  if (type === kinds.reserved) return undefined;
  // Inline content has no address. Encrypted extents may have different keys.
  if (type !== kinds.written || room.readUIntLE(item + at.encryption, 3) !== 0) return 'unclear';
  const within = readWord(room, item + at.address);
  if (within === 0) return undefined;
  const end = start + readWord(room, item + at.length);
  const physical = readWord(room, item + at.offset);
  const generation = readWord(room, item + at.generation);
  // Larger numbers are not exact.
  if (end + physical + within + generation > Number.MAX_SAFE_INTEGER) return 'unclear';
  return { start, end, physical, within, generation };
}

function readWord(bytes: Buffer, position: number): number {
  return bytes.readUInt32LE(position) + bytes.readUInt32LE(position + 4) * 2 ** 32;
}

/** True when a kernel release such as `6.12.48+deb13-amd64` is of the given version or later; pure. */
export function isKernelSince(kernel: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [, ours = '0', oursMinor = '0'] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return Number(ours) > major || (Number(ours) === major && Number(oursMinor) >= minor);
}
