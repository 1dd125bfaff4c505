import { type BigIntStats, constants, fstatSync, readlinkSync } from 'node:fs';
import { type ByteString, fromBytes, toPrintable } from '../model/byte-string.ts';
import { closeQuickly, openAt, openFlag, openFromHere } from './posix-at.ts';

/**
 * An open directory from which to reach entries, name by name. However long its path, and whatever replaces
 * its parents meanwhile, names are looked up in this very directory.
 */
export class DirectoryHandle implements Disposable {
  /** Open by O_PATH: for the calls of posix-at.ts. */
  readonly fd: number;
  #isOpen = true;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Opens a directory by path, symbolic links followed. Throws a system error. */
  static open(path: ByteString): DirectoryHandle {
    return new DirectoryHandle(openFromHere(path, openFlag.path | constants.O_DIRECTORY));
  }

  /** Opens a directory in this one, never through a symbolic link: `ELOOP` or `ENOTDIR` then. */
  openChild(name: ByteString): DirectoryHandle {
    const flags = openFlag.path | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    return new DirectoryHandle(openAt(this.fd, name, flags));
  }

  /**
   * Opens a directory below this one, name by name. Throws a system error, after closing what was opened on
   * the way.
   */
  openBelow(names: readonly ByteString[]): DirectoryHandle {
    let handle = this.openChild('.');
    for (const name of names) {
      using parent = handle;
      handle = parent.openChild(name);
    }
    return handle;
  }

  /** A path for system calls to an entry of this directory, or to the directory itself by `.`. */
  at(name: ByteString): ByteString {
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  /** A path for system calls to this directory itself, even where its mode forbids entering it. */
  get self(): ByteString {
    return `/proc/self/fd/${this.fd}`;
  }

  stat(): BigIntStats {
    return fstatSync(this.fd, { bigint: true });
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // `node:fs` would warn about a descriptor that another thread or library opened.
    closeQuickly(this.fd);
  }
}

/** A path for messages: one through a descriptor is resolved. */
export function shownPath(path: ByteString): string {
  const held = /^\/proc\/self\/fd\/\d+/.exec(path)?.[0] ?? '';
  try {
    const start = held === '' ? '' : fromBytes(readlinkSync(held, { encoding: 'buffer' }));
    return toPrintable(start + path.slice(held.length));
  } catch {
    return toPrintable(path);
  }
}
