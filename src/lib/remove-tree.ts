import { chmodSync, type Dir, opendirSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { type ByteString, fromBytes, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { Breather } from './breathe.ts';
import { DirectoryHandle } from './directory-handle.ts';
import { type FileStat, mountOf, removeDirectoryAt, statAt, statOpen, unlinkAt } from './posix-at.ts';

export interface RemoveTreeOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Removes a directory with its content, or anything else, for any names, depth and modes. It works from
 * directory to directory by open handles: a symbolic link is removed and never followed, not even one that
 * another user puts in the place of a directory meanwhile. A mount below the root is not touched (`in-use`).
 * Missing entries are no error. Yields to other work. May be cancelled, and repeated.
 */
export async function removeTree(root: ByteString, options: RemoveTreeOptions = {}): Promise<void> {
  const slash = root.lastIndexOf('/');
  using parent = orGone(() => DirectoryHandle.open(slash < 0 ? '.' : root.slice(0, slash) || '/'));
  if (parent !== undefined) await removeTreeIn(parent, root.slice(slash + 1), options);
}

/** The same for a name in an open directory. */
export async function removeTreeIn(
  parent: DirectoryHandle,
  name: ByteString,
  options: RemoveTreeOptions = {},
): Promise<void> {
  // The permissions of the parent directory are not ours to change.
  using root = openToRemove(parent, name, (work) => work());
  if (root === undefined) return;
  await emptyDirectory(root, options);
  orGone(() => unlessTaken(name, () => removeDirectoryAt(parent.fd, name)));
}

/** Another entry may have taken the name since it was examined. */
function unlessTaken(name: ByteString, remove: () => void): void {
  try {
    remove();
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EISDIR'].includes(errno)) throw error;
    throw refilled(toPrintable(name), errno);
  }
}

function refilled(shown: string, errno: string): AppError {
  return new AppError('in-use', `Cannot delete "${shown}": another program writes to it`, { detail: errno });
}

/** Removes the content of an open directory, which itself stays. */
export async function emptyDirectory(root: DirectoryHandle, options: RemoveTreeOptions = {}): Promise<void> {
  using removal = new Removal(root, options);
  await removal.run();
}

/** A directory being emptied. Far up, its handle is closed, and reopened from below on the way back. */
interface Level {
  readonly name: ByteString;
  readonly stat: FileStat;
  handle: DirectoryHandle | undefined;
  /** Found subdirectories that remain to be removed. */
  folders: ByteString[];
  /** The directory may hold more than was found. */
  isUnread: boolean;
  /** How often it was not empty after everything had been removed. */
  refilled: number;
}

const maxOpenLevels = 128;
/** For one directory at a time, so that memory does not grow with its size. */
const mostFolders = 1000;
/** Gives up after this many refills by another program. */
const mostRefills = 20;
/** Freeing the disk space of a larger file blocks, so it is done in another thread. */
const largeBytes = 32n << 20n;
/** The maximum length of a path in a message. */
const mostShown = 1000;

class Removal implements Disposable {
  readonly #levels: Level[];
  readonly #root: DirectoryHandle;
  readonly #device: bigint;
  readonly #mount: bigint | undefined;
  readonly #breather: Breather;
  readonly #signal: AbortSignal | undefined;

  constructor(root: DirectoryHandle, { signal }: RemoveTreeOptions) {
    this.#root = root;
    const stat = statOpen(root.fd);
    this.#device = stat.dev;
    this.#mount = mountOf(root.fd);
    this.#signal = signal;
    // The signal is checked for each directory, to throw an error in other words.
    this.#breather = new Breather('deleting', undefined);
    this.#levels = [levelOf('', root, stat)];
  }

  /** The caller owns the root's handle. */
  [Symbol.dispose](): void {
    for (const { handle } of this.#levels) if (handle !== this.#root) handle?.[Symbol.dispose]();
  }

  async run(): Promise<void> {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      this.#check();
      const handle = this.#handleOf(level);
      const name = level.folders.pop();
      if (name !== undefined) this.#enter(handle, name);
      else if (level.isUnread) await this.#read(level, handle);
      else if (!this.#leave(level)) return;
    }
  }

  #check(): void {
    if (this.#signal?.aborted === true)
      throw new AppError('cancelled', 'Deleting was cancelled; the rest is deleted at the next start');
  }

  #handleOf(level: Level): DirectoryHandle {
    if (level.handle !== undefined) return level.handle;
    throw this.#moved();
  }

  #moved(): AppError {
    return new AppError('conflict', `Cannot delete "${this.#path()}": it was moved meanwhile`);
  }

  /** Removes everything but directories, and remembers some of those. */
  async #read(level: Level, handle: DirectoryHandle): Promise<void> {
    using names = openNames(handle);
    level.isUnread = false;
    for (let entry = names.next(); entry !== undefined; entry = names.next()) {
      if (this.#breather.isDue()) {
        this.#check();
        await this.#breather.breathe();
      }
      const stat = orGone(() => statAt(handle.fd, entry));
      if (stat === undefined) continue;
      if (!stat.isDirectory()) await this.#unlink(handle, entry, stat);
      else if (level.folders.push(entry) >= mostFolders) {
        level.isUnread = true;
        return;
      }
    }
  }

  async #unlink(handle: DirectoryHandle, name: ByteString, stat: FileStat): Promise<void> {
    try {
      if (stat.nlink === 1n && stat.blocks * 512n >= largeBytes) await unlink(toPath(handle.at(name)));
      else withRights(handle, () => unlinkAt(handle.fd, name));
    } catch (error) {
      // A directory took its place: it is found when this one turns out not to be empty.
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EISDIR') throw error;
    }
  }

  #enter(parent: DirectoryHandle, name: ByteString): void {
    const handle = openToRemove(parent, name, (work) => withRights(parent, work));
    if (handle === undefined) return;
    const level = levelOf(name, handle, statOpen(handle.fd));
    this.#levels.push(level);
    if (level.stat.dev !== this.#device || mountOf(handle.fd) !== this.#mount)
      throw new AppError('in-use', `Cannot delete "${this.#path()}": another file system is mounted there`);
    const far = this.#levels.at(-1 - maxOpenLevels);
    if (far?.handle === undefined || far.handle === this.#root) return;
    far.handle[Symbol.dispose]();
    far.handle = undefined;
  }

  /** False at the root, which stays. */
  #leave(level: Level): boolean {
    const parent = this.#levels.at(-2);
    if (parent === undefined) return false;
    parent.handle ??= this.#reopenParent(level, parent);
    const errno = this.#removeEmpty(parent.handle, level);
    if (errno === 'ENOTEMPTY' && ++level.refilled < mostRefills) {
      level.isUnread = true;
      return true;
    }
    // Another entry has the name: reading the parent again shows what it is.
    if (errno === 'ENOTDIR' && ++parent.refilled < mostRefills) parent.isUnread = true;
    else if (errno !== undefined && errno !== 'ENOENT') throw refilled(this.#path(), errno);
    this.#levels.pop();
    level.handle?.[Symbol.dispose]();
    return true;
  }

  #removeEmpty(above: DirectoryHandle, { name }: Level): string | undefined {
    try {
      withRights(above, () => removeDirectoryAt(above.fd, name));
      return undefined;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ENOTEMPTY' || errno === 'ENOTDIR') return errno;
      throw error;
    }
  }

  /** A directory that was moved away meanwhile has another parent, in which nothing is done. */
  #reopenParent(level: Level, parent: Level): DirectoryHandle {
    const handle = this.#handleOf(level).openChild('..');
    const now = statOpen(handle.fd);
    if (now.ino === parent.stat.ino && now.dev === parent.stat.dev) return handle;
    handle[Symbol.dispose]();
    throw this.#moved();
  }

  #path(): string {
    const path = this.#levels.map(({ name }) => name).join('/');
    return toPrintable(path.slice(1, 1 + mostShown));
  }
}

function levelOf(name: ByteString, handle: DirectoryHandle, stat: FileStat): Level {
  return { name, stat, handle, folders: [], isUnread: true, refilled: 0 };
}

/** Undefined for anything but a directory, which is removed at once, and for a missing entry. */
function openToRemove(
  parent: DirectoryHandle,
  name: ByteString,
  perform: (work: () => DirectoryHandle | undefined) => DirectoryHandle | undefined,
): DirectoryHandle | undefined {
  return perform(() =>
    orGone(() => {
      try {
        return parent.openChild(name);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno !== 'ENOTDIR' && errno !== 'ELOOP') throw error;
        unlessTaken(name, () => unlinkAt(parent.fd, name));
        return undefined;
      }
    }),
  );
}

interface Names extends Disposable {
  next(): ByteString | undefined;
}

function openNames(handle: DirectoryHandle): Names {
  // Names are bytes in this encoding, whatever the types say.
  const encoding = 'buffer' as BufferEncoding;
  const open = (): Dir => opendirSync(toPath(handle.at('.')), { encoding, bufferSize: 256 });
  const dir = orGone(() => withRights(handle, open));
  return {
    next() {
      const name = dir?.readSync()?.name as Uint8Array | undefined;
      return name === undefined ? undefined : fromBytes(name);
    },
    [Symbol.dispose]: () => dir?.closeSync(),
  };
}

/** For a directory whose owner has no access, as a restored tree may have. */
function withRights<T>(handle: DirectoryHandle, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
    chmodSync(handle.self, 0o700);
    return work();
  }
}

/** Undefined where what `work` asks for is not there. Throws other system errors as they are. */
export function orGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}
