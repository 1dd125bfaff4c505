import { endianness } from 'node:os';
import koffi from 'koffi';
import { type ByteString, fromBytes } from '../model/byte-string.ts';

const libc = koffi.load(null);
/** Addresses as numbers: creating a view for each name would cost more than the call. */
const statx = functionOf(
  'int statx(int dirfd, uintptr_t path, int flags, unsigned int mask, uintptr_t into)',
);
const getdents = functionOf('intptr_t getdents64(int fd, uintptr_t into, size_t length)');

const bufferBytes = 64 << 10;
const symlinkNoFollow = 0x100;
/** Type, permissions, number of links, time of modification, inode, length and blocks. */
const mask = 0x1 | 0x2 | 0x4 | 0x40 | 0x100 | 0x200 | 0x400;

/** Undefined where the C library lacks it: glibc has it since 2.30. */
function functionOf(prototype: string): ReturnType<typeof libc.func> | undefined {
  try {
    return libc.func(prototype);
  } catch {
    return undefined;
  }
}

/** The seccomp profiles of older container engines forbid statx(2). */
function mayAsk(): boolean {
  const [root, answer] = [Buffer.from('/\0'), Buffer.alloc(256)];
  const into = Number(koffi.address(answer));
  return statx?.(0, Number(koffi.address(root)), symlinkNoFollow, mask, into) === 0;
}

export const canScan = getdents !== undefined && endianness() === 'LE' && mayAsk();

export interface Scanned {
  /** The type bits of the mode. */
  type: number;
  permissions: number;
  links: number;
  /** Seconds since 1970. */
  modifiedAt: number;
  /** Set only for directories and files with several names, as is the device. */
  inode: bigint;
  bytes: number;
  allocatedBytes: number;
  /** The device of its file system. */
  device: string;
}

export interface ScanHandlers {
  readonly visit: (found: Scanned, name: () => ByteString) => void;
  readonly onFailed: (name: ByteString) => void;
}

/**
 * Reads directories with one system call for many names and one for each entry, without creating objects. For
 * one walk at a time.
 */
export class DirectoryScanner {
  readonly #names = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #namesAt = Number(koffi.address(this.#names));
  readonly #namesView = new DataView(this.#names.buffer);
  readonly #stat = Buffer.allocUnsafeSlow(256);
  readonly #statAt = Number(koffi.address(this.#stat));
  readonly #statView = new DataView(this.#stat.buffer);
  readonly #found: Scanned = {
    ...{ type: 0, permissions: 0, links: 0, modifiedAt: 0 },
    ...{ inode: 0n, bytes: 0, allocatedBytes: 0, device: '' },
  };

  /**
   * Calls `visit` for the next names in an open directory, without `.` and `..`; its argument is valid until
   * it returns. `onFailed` gets the names that cannot be examined.
   */
  next(fd: number, on: ScanHandlers): 'more' | 'end' | 'failed' {
    const length = Number(getdents?.(fd, this.#namesAt, bufferBytes));
    if (length === 0) return 'end';
    if (!(length > 0)) return 'failed';
    let start = 0;
    const name = (): ByteString => fromBytes(this.#names.subarray(start, this.#names.indexOf(0, start)));
    for (let at = 0; at < length; at += this.#namesView.getUint16(at + 16, true)) {
      start = at + 19;
      if (this.#isSelfOrParent(start)) continue;
      const status: unknown = statx?.(fd, this.#namesAt + start, symlinkNoFollow, mask, this.#statAt);
      if (status === 0) on.visit(this.#read(), name);
      else on.onFailed(name());
    }
    return 'more';
  }

  /** Calls `visit` for these names in an open directory. Returns how many cannot be examined. */
  ask(fd: number, names: readonly ByteString[], visit: (found: Scanned) => void): number {
    let failed = 0;
    for (const name of names) {
      // Every name fits the buffer: the kernel allows 255 bytes.
      this.#names[this.#names.write(name, 0, 'latin1')] = 0;
      const status: unknown = statx?.(fd, this.#namesAt, symlinkNoFollow, mask, this.#statAt);
      if (status === 0) visit(this.#read());
      else failed += 1;
    }
    return failed;
  }

  #isSelfOrParent(start: number): boolean {
    if (this.#names[start] !== 0x2e) return false;
    const second = this.#names[start + 1];
    return second === 0 || (second === 0x2e && this.#names[start + 2] === 0);
  }

  #read(): Scanned {
    const found = this.#found;
    const view = this.#statView;
    const mode = view.getUint16(28, true);
    found.type = mode & 0o170000;
    found.permissions = mode & 0o7777;
    found.modifiedAt = view.getUint32(112, true) + view.getInt32(116, true) * 2 ** 32;
    found.links = view.getUint32(16, true);
    found.bytes = view.getUint32(40, true) + view.getUint32(44, true) * 2 ** 32;
    found.allocatedBytes = (view.getUint32(48, true) + view.getUint32(52, true) * 2 ** 32) * 512;
    // Needed for few entries, and more expensive than the other fields.
    if (found.links > 1 || found.type === 0o040000) {
      found.inode = view.getBigUint64(32, true);
      found.device = `${view.getUint32(136, true)}:${view.getUint32(140, true)}`;
    }
    return found;
  }
}
