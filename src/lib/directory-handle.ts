import { closeSync, constants, fstatSync, openSync, type BigIntStats } from 'node:fs';
import { type ByteString, toPath } from '../model/byte-string.ts';

/** Linux's O_PATH: a place to start paths from, which needs no right to read the directory. */
const openPath = 0o10000000;

/**
 * An open directory to reach things from, name by name. However long the path to it is, and whatever somebody puts in
 * the place of its parents meanwhile, names below it are looked up in this very directory.
 */
export class DirectoryHandle implements Disposable {
  readonly #fd: number;
  #isOpen = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a directory by path, symbolic links followed. Throws a system error. */
  static open(path: ByteString): DirectoryHandle {
    return new DirectoryHandle(openSync(toPath(path), openPath | constants.O_DIRECTORY));
  }

  /** Opens a directory in this one, never through a symbolic link: `ELOOP` or `ENOTDIR` then. */
  openChild(name: ByteString): DirectoryHandle {
    const flags = openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    return new DirectoryHandle(openSync(toPath(this.at(name)), flags));
  }

  /** A path for system calls that names a thing in this directory, or the directory itself by `.`. */
  at(name: ByteString): ByteString {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }

  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}
