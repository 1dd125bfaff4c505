import { type BigIntStats, fstatSync, lstatSync, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import koffi from 'koffi';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { packDevice } from './posix.ts';

/**
 * POSIX calls that start from an open directory, so that replacing its parents meanwhile leads nowhere else.
 * The directory may be open by O_PATH. None follows a symbolic link at the end, and all throw an Error with
 * `code`, `syscall` and `path`, like `node:fs`. They take about a microsecond on top of the kernel's time: a
 * walk makes several for each file.
 */

const libc = koffi.load(null);
/** Addresses as numbers: creating a view for each name would cost more than the call. */
const openat = libc.func('int openat(int dirfd, uintptr_t path, int flags, unsigned int mode)');
const unlinkat = libc.func('int unlinkat(int dirfd, uintptr_t path, int flags)');
const close = libc.func('int close(int fd)');
const fchownat = libc.func(
  'int fchownat(int dirfd, uintptr_t path, unsigned int uid, unsigned int gid, int flags)',
);
const statx = statxOf();

/** In glibc since 2.28. Undefined where `node:fs` has to do it. */
function statxOf(): ReturnType<typeof libc.func> | undefined {
  if (endianness() !== 'LE') return undefined;
  try {
    return libc.func('int statx(int dirfd, uintptr_t path, int flags, unsigned int mask, uintptr_t into)');
  } catch {
    return undefined;
  }
}

/** From linux/fcntl.h, the same for x64 and arm64. */
export const openFlag = {
  /** A starting point for paths: needs no read permission, and opening it has no effect on a device. */
  path: 0o10000000,
  closeOnExec: 0o2000000,
  noAccessTime: 0o1000000,
} as const;

const atFdCwd = -100;
const symlinkNoFollow = 0x100;
const removeDirectory = 0x200;
const emptyPath = 0x1000;

const pathBytes = 4096;
const text = Buffer.allocUnsafeSlow(pathBytes);
const textAt = Number(koffi.address(text));
const answer = Buffer.allocUnsafeSlow(256);
const answerAt = Number(koffi.address(answer));
const answerView = new DataView(answer.buffer);

/**
 * Opens a name in an open directory, or creates a file of that mode with `O_CREAT`. Repeats an interrupted
 * call.
 */
export function openAt(directory: number, name: ByteString, flags: number, mode = 0o600): number {
  const path = cPath(name, 'openat');
  for (let tries = 0; ; tries++) {
    const fd = Number(openat(directory, path, flags | openFlag.closeOnExec, mode));
    if (fd >= 0) return fd;
    throwUnlessInterrupted(tries, 'openat', name);
  }
}

/** The same for a whole path. Symbolic links are followed, at the end too unless the flags forbid it. */
export function openFromHere(path: ByteString, flags: number): number {
  return openAt(atFdCwd, path, flags);
}

/** Opens for reading or writing what is open by O_PATH: the very same file, whatever has its name by now. */
export function reopen(fd: number, flags: number): number {
  return openAt(atFdCwd, `/proc/self/fd/${fd}`, flags);
}

/**
 * Changes the owner of an open file, even one open by O_PATH: the very same file, whatever has its name by
 * now.
 */
export function changeOwner(fd: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  text[0] = 0;
  if (fchownat(fd, textAt, uid, gid, emptyPath) !== 0) throw systemError('fchownat', `fd ${fd}`);
}

/** Removes a name other than a directory's. */
export function unlinkAt(directory: number, name: ByteString): void {
  if (unlinkat(directory, cPath(name, 'unlinkat'), 0) !== 0) throw systemError('unlinkat', name);
}

/** Removes an empty directory. Throws a system error: `ENOTEMPTY`, `ENOTDIR`, `ENOENT` … */
export function removeDirectoryAt(directory: number, name: ByteString): void {
  if (unlinkat(directory, cPath(name, 'unlinkat'), removeDirectory) !== 0)
    throw systemError('unlinkat', name);
}

/** Closes a descriptor in half the time of `closeSync`. Ignores errors, which mean nothing to a reader. */
export function closeQuickly(fd: number): void {
  close(fd);
}

/** The result of lstat(2), as far as it is in common with `BigIntStats`. */
export type FileStat = Pick<
  BigIntStats,
  | 'dev'
  | 'ino'
  | 'mode'
  | 'nlink'
  | 'uid'
  | 'gid'
  | 'rdev'
  | 'size'
  | 'blocks'
  | 'mtimeNs'
  | 'ctimeNs'
  | 'isFile'
  | 'isDirectory'
  | 'isSymbolicLink'
  | 'isFIFO'
  | 'isSocket'
  | 'isCharacterDevice'
  | 'isBlockDevice'
>;

/** Stats a name in an open directory. */
export function statAt(directory: number, name: ByteString): FileStat {
  const path = cPath(name, 'statx');
  if (statx?.(directory, path, symlinkNoFollow, statMask, answerAt) === 0) return new ReadStat();
  if (statx !== undefined && !isForbidden()) throw systemError('statx', name);
  return lstatSync(toPath(`/proc/self/fd/${directory}/${name}`), { bigint: true });
}

/** Stats an open file, even one open by O_PATH. */
export function statOpen(fd: number): FileStat {
  text[0] = 0;
  const flags = emptyPath | symlinkNoFollow;
  if (statx?.(fd, textAt, flags, statMask, answerAt) === 0) return new ReadStat();
  if (statx !== undefined && !isForbidden()) throw systemError('statx', `fd ${fd}`);
  return fstatSync(fd, { bigint: true });
}

/** True where the seccomp profile of an older container engine forbids statx(2); nothing else refuses it. */
function isForbidden(): boolean {
  return koffi.errno() === koffi.os.errno['EPERM'];
}

/** The mount of an open file: a directory bind-mounted elsewhere has the same device as its source. */
export function mountOf(fd: number): bigint | undefined {
  text[0] = 0;
  if (statx === undefined) return mountInProc(fd);
  if (statx(fd, textAt, emptyPath | symlinkNoFollow, mountMask, answerAt) !== 0) {
    if (isForbidden()) return mountInProc(fd);
    throw systemError('statx', `fd ${fd}`);
  }
  // Since Linux 5.8.
  const isTold = (answerView.getUint32(0, true) & mountMask) !== 0;
  return isTold ? answerView.getBigUint64(144, true) : mountInProc(fd);
}

/** The same number, where statx(2) cannot return it: a mount in a tree must not be deleted there either. */
function mountInProc(fd: number): bigint | undefined {
  const [, id] = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  return id === undefined ? undefined : BigInt(id);
}

/** STATX_MNT_ID. */
const mountMask = 0x1000;
/** STATX_BASIC_STATS. */
const statMask = 0x7ff;
const billion = 1_000_000_000n;
const typeMask = 0o170000n;

/** The latest result of statx(2). */
class ReadStat implements FileStat {
  readonly dev = packDevice(answerView.getUint32(136, true), answerView.getUint32(140, true));
  readonly ino = answerView.getBigUint64(32, true);
  readonly mode = BigInt(answerView.getUint16(28, true));
  readonly nlink = BigInt(answerView.getUint32(16, true));
  readonly uid = BigInt(answerView.getUint32(20, true));
  readonly gid = BigInt(answerView.getUint32(24, true));
  readonly rdev = packDevice(answerView.getUint32(128, true), answerView.getUint32(132, true));
  readonly size = answerView.getBigUint64(40, true);
  readonly blocks = answerView.getBigUint64(48, true);
  readonly mtimeNs = answerView.getBigInt64(112, true) * billion + BigInt(answerView.getUint32(120, true));
  readonly ctimeNs = answerView.getBigInt64(96, true) * billion + BigInt(answerView.getUint32(104, true));

  isFile(): boolean {
    return (this.mode & typeMask) === 0o100000n;
  }
  isDirectory(): boolean {
    return (this.mode & typeMask) === 0o040000n;
  }
  isSymbolicLink(): boolean {
    return (this.mode & typeMask) === 0o120000n;
  }
  isFIFO(): boolean {
    return (this.mode & typeMask) === 0o010000n;
  }
  isSocket(): boolean {
    return (this.mode & typeMask) === 0o140000n;
  }
  isCharacterDevice(): boolean {
    return (this.mode & typeMask) === 0o020000n;
  }
  isBlockDevice(): boolean {
    return (this.mode & typeMask) === 0o060000n;
  }
}

/** The address of a path, valid until the next call. */
function cPath(path: ByteString, syscall: string): number {
  if (path.includes('\0')) throw errorOf('EINVAL', syscall, path);
  if (path.length >= pathBytes) throw errorOf('ENAMETOOLONG', syscall, path);
  text[text.write(path, 0, 'latin1')] = 0;
  return textAt;
}

const mostTries = 100;

function throwUnlessInterrupted(tries: number, syscall: string, path: ByteString): void {
  const error = systemError(syscall, path);
  if (error.code !== 'EINTR' || tries >= mostTries) throw error;
}

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

function systemError(syscall: string, path: ByteString): Error & { code: string } {
  const number = koffi.errno();
  return errorOf(errnoNames.get(number) ?? `E${number}`, syscall, path);
}

function errorOf(code: string, syscall: string, path: ByteString): Error & { code: string } {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path });
}
