import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { type ByteString, fromBytes, toPath } from '../../model/byte-string.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';
import { measureTree } from '../../lib/measure-tree.ts';
import { type MountPoint, readMounts } from '../../lib/mountinfo.ts';
import { canScan, DirectoryScanner } from '../../lib/scan-directory.ts';
import { Unwatchable } from './watched-folder.ts';
import { readAgainMs, type TreeRoot, type TreeSize, type WatchClock, WatchedTree } from './watched-tree.ts';
import { Inotify, Watches } from './watches.ts';

/** Why a tree is not watched: its size is known by a walk only. */
export interface Unwatched {
  readonly reason: string;
}

export interface WatchedSizesOptions {
  /** The limit of watched directories. Default: a part of what the kernel allows a user. */
  readonly limit?: number | undefined;
  readonly clock?: WatchClock | undefined;
}

export interface MeasureWatchedOptions {
  /** Called with the index of each path before it is read. */
  readonly onPath?: ((index: number) => void) | undefined;
}

const systemClock: WatchClock = {
  steadyMs: () => performance.now(),
  nowSeconds: () => Date.now() / 1000,
  random: Math.random,
};

/** Each costs this process about 200 bytes, and the kernel about a kilobyte. */
const mostWatches = 100_000;
const ownPart = 1 / 4;

const { ext4, xfs, btrfs, f2fs, tmpfs } = filesystemType;
/** File systems on which the kernel sees every change. Others also change elsewhere, or beneath. */
const watchable = new Set<number>([ext4, xfs, btrfs, f2fs, tmpfs]);

/**
 * Directory sizes for callers that ask more than once: only what has changed is read again. Unused state is
 * released after a while, and with the process.
 *
 * Wrong for at most ten minutes where a file below 64 KiB, unwritten for five minutes, grows by asynchronous
 * I/O, or by a name outside of its tree.
 */
export class WatchedSizes implements AsyncDisposable {
  readonly #limit: number;
  readonly #clock: WatchClock;
  readonly #scanner = new DirectoryScanner();
  #inotify: Inotify | undefined;
  #watches: Watches | undefined;
  readonly #trees = new Map<ByteString, WatchedRoot>();
  /** What cannot be watched, and until when that is not tried again. */
  readonly #unwatchable = new Map<ByteString, Unwatched & { readonly untilMs: number }>();
  #turn: Promise<unknown> = Promise.resolve();
  #rest: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ limit = ownLimit(), clock = systemClock }: WatchedSizesOptions = {}) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** How many directories are watched now. */
  get watched(): number {
    return this.#watches?.count ?? 0;
  }

  /**
   * The bytes of everything but directories in each, hard links counted once, without mounts inside;
   * undefined for what cannot be walked. Forgets paths that are not asked for again. One question at a time.
   */
  async measure(paths: readonly ByteString[], signal?: AbortSignal): Promise<(number | undefined)[]> {
    return await this.#inTurn(async () => {
      const sizes: (number | undefined)[] = [];
      for await (const [path, found] of this.#ask(paths, signal))
        sizes.push('bytes' in found ? found.bytes : await walk(path, signal));
      return sizes;
    });
  }

  /**
   * The same with the number of files, and never by a walk: what cannot be watched has the reason. A changed
   * tree is read again where it has changed.
   */
  async measureWatched(
    paths: readonly ByteString[],
    { onPath }: MeasureWatchedOptions = {},
  ): Promise<(TreeSize | Unwatched)[]> {
    return await this.#inTurn(async () => {
      const sizes: (TreeSize | Unwatched)[] = [];
      for await (const [, found] of this.#ask(paths, undefined, onPath)) sizes.push(found);
      return sizes;
    });
  }

  async #inTurn<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(question);
    // The next question asks anew; its own caller gets the error.
    this.#turn = answer.catch(() => undefined);
    return await answer;
  }

  async *#ask(
    paths: readonly ByteString[],
    signal: AbortSignal | undefined,
    onPath?: MeasureWatchedOptions['onPath'],
  ): AsyncGenerator<readonly [ByteString, TreeSize | Unwatched]> {
    clearTimeout(this.#rest);
    try {
      this.#open();
      const asked = new Set(paths);
      for (const path of this.#trees.keys()) if (!asked.has(path)) this.#forget(path);
      for (const path of this.#unwatchable.keys()) if (!asked.has(path)) this.#unwatchable.delete(path);
      const mounts = await foldersWithMounts();
      // Without the mount table, a temporary mount inside a volume would go unseen.
      if (mounts === undefined) this.#close();
      for (const [index, path] of paths.entries()) {
        onPath?.(index);
        yield [path, await this.#sizeOf(path, mounts ?? new Set(), signal)];
      }
    } finally {
      await this.#forgetMounted();
      if (!this.#isClosed) this.#rest = setTimeout(() => this.#close(), readAgainMs).unref();
    }
  }

  async #sizeOf(
    path: ByteString,
    mounts: ReadonlySet<ByteString>,
    signal: AbortSignal | undefined,
  ): Promise<TreeSize | Unwatched> {
    const watched = this.#watchedAt(path, mounts);
    if ('reason' in watched) return watched;
    try {
      return await watched.tree.size(signal);
    } catch (error) {
      if (!(error instanceof Unwatchable)) throw error;
      this.#forget(path);
      const { message: reason } = error;
      if (error.isLasting)
        this.#unwatchable.set(path, { reason, untilMs: this.#clock.steadyMs() + readAgainMs });
      return { reason };
    }
  }

  #watchedAt(path: ByteString, mounts: ReadonlySet<ByteString>): WatchedRoot | Unwatched {
    const root = rootOf(path);
    const known = this.#trees.get(path);
    if (root !== undefined && known?.tree.isAt(root) === true && !mounts.has(known.path)) return known;
    this.#forget(path);
    if (root === undefined) return { reason: 'it cannot be opened' };
    if (this.#watches === undefined) return { reason: 'the system reports no changes' };
    const unwatchable = this.#unwatchable.get(path);
    if (unwatchable !== undefined && unwatchable.untilMs > this.#clock.steadyMs()) return unwatchable;
    const real = watchablePath(path);
    if (real === undefined) return { reason: 'its file system does not report every change' };
    if (mounts.has(real)) return { reason: 'something is mounted in it' };
    const parts = { watches: this.#watches, scanner: this.#scanner, clock: this.#clock };
    const watched = { path: real, tree: new WatchedTree(real, root, parts) };
    this.#trees.set(path, watched);
    return watched;
  }

  /** A mount made meanwhile may have been read as part of the tree, and its end sends no event. */
  async #forgetMounted(): Promise<void> {
    const mounts = await foldersWithMounts();
    for (const [path, watched] of this.#trees) if (mounts?.has(watched.path) !== false) this.#forget(path);
  }

  #forget(path: ByteString): void {
    this.#trees.get(path)?.tree[Symbol.dispose]();
    this.#trees.delete(path);
  }

  /** Ready for a question; forgets everything when events were lost. */
  #open(): void {
    if (this.#watches?.settle() === false) this.#close();
    if (this.#watches !== undefined || this.#isClosed || !canScan) return;
    this.#inotify = Inotify.open();
    if (this.#inotify !== undefined) this.#watches = new Watches(this.#inotify, this.#limit);
  }

  /** The kernel drops all watches with the descriptor. */
  #close(): void {
    this.#trees.clear();
    this.#watches = undefined;
    this.#inotify?.[Symbol.dispose]();
    this.#inotify = undefined;
  }

  /** Later questions are walked. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    clearTimeout(this.#rest);
    this.#close();
  }
}

interface WatchedRoot {
  /** Without symbolic links. */
  readonly path: ByteString;
  readonly tree: WatchedTree;
}

async function walk(path: ByteString, signal: AbortSignal | undefined): Promise<number | undefined> {
  try {
    const { bytes, targetBytes } = await measureTree(path, { signal });
    return bytes + targetBytes;
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return undefined;
  }
}

function rootOf(path: ByteString): TreeRoot | undefined {
  try {
    return statSync(toPath(path), { bigint: true });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Undefined where not every change sends an event. */
function watchablePath(path: ByteString): ByteString | undefined {
  try {
    if (!watchable.has(statfsSync(toPath(path)).type)) return undefined;
    return fromBytes(realpathSync.native(toPath(path), 'buffer'));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** All directories with a mount below them; undefined where the kernel does not say. */
async function foldersWithMounts(): Promise<Set<ByteString> | undefined> {
  let mounts: readonly MountPoint[];
  try {
    mounts = await readMounts();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
  const folders = new Set<ByteString>();
  for (const { path } of mounts) {
    let end = path.lastIndexOf('/');
    while (end > 0) {
      const folder = path.slice(0, end);
      if (folders.has(folder)) break;
      folders.add(folder);
      end = path.lastIndexOf('/', end - 1);
    }
  }
  return folders;
}

function ownLimit(): number {
  try {
    const allowed = Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'latin1'));
    return Math.min(mostWatches, Math.floor(allowed * ownPart));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return 0;
  }
}
