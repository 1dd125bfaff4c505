import koffi from 'koffi';
import { type ByteString, fromBytes, toBytes } from '../model/byte-string.ts';
import type { DataRun, EntryType, ExtendedAttribute } from '../model/entry.ts';

/**
 * POSIX calls that `node:fs` lacks, from the C library of this process. All are synchronous, none follows a
 * symbolic link at the end of a path, and all throw an Error with `code` (`ENOENT`), `syscall` and `path`,
 * like `node:fs`.
 */

const libc = koffi.load(null);

const llistxattr = libc.func('intptr_t llistxattr(const void *path, void *list, size_t size)');
const flistxattr = libc.func('intptr_t flistxattr(int fd, void *list, size_t size)');
const lgetxattr = libc.func(
  'intptr_t lgetxattr(const void *path, const void *name, void *value, size_t size)',
);
const fgetxattr = libc.func('intptr_t fgetxattr(int fd, const void *name, void *value, size_t size)');
const lsetxattr = libc.func(
  'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
);
const lremovexattr = libc.func('int lremovexattr(const void *path, const void *name)');
const fremovexattr = libc.func('int fremovexattr(int fd, const void *name)');
const utimensat = libc.func('int utimensat(int dirfd, const void *path, const void *times, int flags)');
const futimens = libc.func('int futimens(int fd, const void *times)');
const fsetxattr = libc.func(
  'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
);
const mknod = libc.func('int mknod(const void *path, unsigned int mode, uint64_t dev)');
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const syncfs = libc.func('int syncfs(int fd)');
const syncFileRange = libc.func(
  'int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)',
);
const mallopt = libc.func('int mallopt(int param, int value)');

const atFdCwd = -100;
const atSymlinkNoFollow = 0x100;
const seekData = 3;
const seekHole = 4;

/**
 * Extended attributes in the order of the file system. Empty where there are none or the file system does not
 * support them.
 */
export function listXattrs(target: ByteString | number): ExtendedAttribute[] {
  const names = xattrNames(target);
  const found: ExtendedAttribute[] = [];
  for (const name of names) {
    const value = xattrValue(target, name);
    if (value !== undefined) found.push({ name, value });
  }
  return found;
}

const listBuffer = Buffer.alloc(4096);
const valueBuffer = Buffer.alloc(4096);

function xattrNames(target: ByteString | number): ByteString[] {
  let buffer = listBuffer;
  for (;;) {
    const length =
      typeof target === 'number'
        ? Number(flistxattr(target, buffer, buffer.length))
        : Number(llistxattr(cString(target), buffer, buffer.length));
    if (length === 0) return [];
    if (length > 0) return fromBytes(buffer.subarray(0, length - 1)).split('\0');
    const code = errnoName();
    if (code === 'ERANGE' && buffer.length < 1 << 20) buffer = Buffer.alloc(buffer.length * 4);
    else if (code === 'EOPNOTSUPP' || code === 'ENOSYS') return [];
    else throw systemError(code, 'llistxattr', target);
  }
}

function xattrValue(target: ByteString | number, name: ByteString): Uint8Array | undefined {
  let buffer = valueBuffer;
  const cName = cString(name);
  for (;;) {
    const length =
      typeof target === 'number'
        ? Number(fgetxattr(target, cName, buffer, buffer.length))
        : Number(lgetxattr(cString(target), cName, buffer, buffer.length));
    if (length >= 0) return new Uint8Array(buffer.subarray(0, length));
    const code = errnoName();
    if (code === 'ERANGE' && buffer.length < 1 << 20) buffer = Buffer.alloc(buffer.length * 4);
    // Removed since the listing, or an attribute that may be listed but not read (trusted.* without the
    // right).
    else if (code === 'ENODATA' || code === 'EOPNOTSUPP') return undefined;
    else throw systemError(code, 'lgetxattr', target);
  }
}

/** Sets one extended attribute of a path, whose last link is not followed, or of an open file. Throws a system error. */
export function setXattr(target: ByteString | number, attribute: ExtendedAttribute): void {
  const value = Buffer.from(attribute.value);
  const name = cString(attribute.name);
  const status: number =
    typeof target === 'number'
      ? fsetxattr(target, name, value, value.length, 0)
      : lsetxattr(cString(target), name, value, value.length, 0);
  if (status !== 0) throw systemError(errnoName(), 'lsetxattr', target);
}

/** Removes one from a path, whose last link is not followed, or an open file. Throws a system error, `ENODATA` for none. */
export function removeXattr(target: ByteString | number, name: ByteString): void {
  const status: number =
    typeof target === 'number'
      ? fremovexattr(target, cString(name))
      : lremovexattr(cString(target), cString(name));
  if (status !== 0) throw systemError(errnoName(), 'lremovexattr', target);
}

const timesBuffer = Buffer.alloc(32);

/**
 * Sets the modification time, and by default the access time to the same. Nanoseconds since 1970, may be
 * negative.
 */
export function setTimes(target: ByteString | number, mtimeNs: bigint, atimeNs: bigint = mtimeNs): void {
  writeTimespec(0, atimeNs);
  writeTimespec(16, mtimeNs);
  const status: number =
    typeof target === 'number'
      ? futimens(target, timesBuffer)
      : utimensat(atFdCwd, cString(target), timesBuffer, atSymlinkNoFollow);
  if (status !== 0) throw systemError(errnoName(), 'utimensat', target);
}

const billion = 1_000_000_000n;

function writeTimespec(at: number, ns: bigint): void {
  const rest = ((ns % billion) + billion) % billion;
  timesBuffer.writeBigInt64LE((ns - rest) / billion, at);
  timesBuffer.writeBigInt64LE(rest, at + 8);
}

const typeBits: Readonly<Record<'fifo' | 'socket' | 'chardev' | 'blockdev', number>> = {
  fifo: 0o010000,
  socket: 0o140000,
  chardev: 0o020000,
  blockdev: 0o060000,
};

export interface NodeSpec {
  readonly type: Exclude<EntryType, 'file' | 'dir' | 'symlink'>;
  readonly mode: number;
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
}

/** Creates a fifo, a socket or a device. The mode is subject to the umask, as with mknod(2). */
export function makeNode(path: ByteString, spec: NodeSpec): void {
  const device = packDevice(spec.deviceMajor ?? 0, spec.deviceMinor ?? 0);
  if (mknod(cString(path), (spec.mode & 0o7777) | typeBits[spec.type], device) !== 0) {
    throw systemError(errnoName(), 'mknod', path);
  }
}

/** Linux's 64-bit device number, as in `st_rdev`. */
export function packDevice(major: number, minor: number): bigint {
  const a = BigInt(major);
  const b = BigInt(minor);
  return ((a & 0xffff_f000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffff_ff00n) << 12n) | (b & 0xffn);
}

export function unpackDevice(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 32n) & 0xffff_f000n) | ((device >> 8n) & 0xfffn)),
    minor: Number(((device >> 12n) & 0xffff_ff00n) | (device & 0xffn)),
  };
}

/**
 * The runs of an open file that hold data. Undefined when the file system cannot tell. Moves the file's
 * offset.
 */
export function dataRuns(fd: number, sizeBytes: number): DataRun[] | undefined {
  const runs: DataRun[] = [];
  let position = 0;
  while (position < sizeBytes) {
    const start = Number(lseek(fd, position, seekData));
    if (start < 0) {
      const code = errnoName();
      if (code === 'ENXIO') return runs;
      if (code === 'EINVAL') return undefined;
      throw systemError(code, 'lseek', fd);
    }
    if (start >= sizeBytes) return runs;
    const end = Number(lseek(fd, start, seekHole));
    if (end < 0) throw systemError(errnoName(), 'lseek', fd);
    const stop = Math.min(end, sizeBytes);
    runs.push({ offset: start, length: stop - start });
    position = stop;
  }
  return runs;
}

/** The start of the next data from an offset on; undefined where there is none. Moves the file's offset. */
export function nextData(fd: number, offset: number): number | undefined {
  const start = Number(lseek(fd, offset, seekData));
  if (start >= 0) return start;
  const code = errnoName();
  if (code === 'ENXIO') return undefined;
  // The file system cannot tell: everything is data.
  if (code === 'EINVAL') return offset;
  throw systemError(code, 'lseek', fd);
}

/** The end of the data that contains an offset, at most the end of the file. Moves the file's offset. */
export function nextHole(fd: number, offset: number): number {
  const end = Number(lseek(fd, offset, seekHole));
  if (end >= 0) return end;
  const code = errnoName();
  // The file was truncated meanwhile.
  if (code === 'ENXIO' || code === 'EINVAL') return Number.MAX_SAFE_INTEGER;
  throw systemError(code, 'lseek', fd);
}

/** Makes everything on the file system of an open file durable. */
export function syncFilesystem(fd: number): void {
  if (syncfs(fd) !== 0) throw systemError(errnoName(), 'syncfs', fd);
}

/** The same without blocking this thread. Resolves to false when the file system reports an error. */
export function syncFilesystemLater(fd: number): Promise<boolean> {
  return new Promise((resolve) => {
    syncfs.async(fd, (error: unknown, status: number) => resolve(error === null && status === 0));
  });
}

const syncFileRangeWrite = 2;

/** Asks the kernel to start writing a part of a file to disk, without waiting for it or for errors. */
export function startWriteback(
  fd: number,
  { offset, length }: { readonly offset: number; readonly length: number },
): void {
  syncFileRange(fd, offset, length, syncFileRangeWrite);
}

/** Keeps the C library from holding freed memory back in one arena per thread. */
export function limitMallocArenas(count: number): void {
  mallopt(-8, count);
}

/**
 * Has the C library map blocks of this size one by one, and return free memory at the end of its heap from
 * this size on. By default, each large block that is freed raises its threshold, so that it keeps more and
 * more.
 */
export function giveBackFrom(bytes: number): void {
  mallopt(-3, bytes);
  mallopt(-1, bytes);
}

function cString(bytes: ByteString): Buffer {
  if (bytes.includes('\0')) throw systemError('EINVAL', 'path', bytes);
  return toBytes(`${bytes}\0`);
}

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

function errnoName(): string {
  return errnoNames.get(koffi.errno()) ?? `E${koffi.errno()}`;
}

function systemError(code: string, syscall: string, target: ByteString | number): Error {
  const name = code === 'ENOTSUP' ? 'EOPNOTSUPP' : code;
  const where = typeof target === 'number' ? `fd ${target}` : target;
  return Object.assign(new Error(`${name}: ${syscall} '${where}'`), { code: name, syscall, path: where });
}
