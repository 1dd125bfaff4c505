import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Breather } from '../../lib/breathe.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { unpackDevice } from '../../lib/posix.ts';
import type { DirectoryScanner, Scanned } from '../../lib/scan-directory.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import {
  FolderReading,
  type FoundFolder,
  forgetFolder,
  mustAsk,
  newFolder,
  noFolders,
  Unwatchable,
  type WatchedFolder,
} from './watched-folder.ts';
import type { Watches } from './watches.ts';

export interface WatchClock {
  /** Monotonic, in milliseconds. */
  readonly steadyMs: () => number;
  /** Since 1970. */
  readonly nowSeconds: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export interface WatchedTreeParts {
  readonly watches: Watches;
  readonly scanner: DirectoryScanner;
  readonly clock: WatchClock;
}

/** What is in a tree, without its directories; each file counts once, whatever names it has. */
export interface TreeSize {
  readonly bytes: number;
  readonly files: number;
}

export type TreeRoot = Pick<BigIntStats, 'dev' | 'ino'>;

/**
 * Each directory is read again after half of this time to all of it: the limit for changes without an event.
 */
export const readAgainMs = 600_000;

/** The sum of the file lengths in a tree, reading again only what has changed. One question at a time. */
export class WatchedTree implements Disposable {
  readonly #path: ByteString;
  readonly #parts: WatchedTreeParts;
  readonly #deviceNumber: bigint;
  readonly #device: string;
  readonly #root: WatchedFolder;
  /** For files with names elsewhere: how many names are here and in all, as of the last full read. */
  #elsewhere: ReadonlyMap<bigint, string> = new Map();

  constructor(path: ByteString, { dev, ino }: TreeRoot, parts: WatchedTreeParts) {
    this.#path = path;
    this.#parts = parts;
    this.#deviceNumber = dev;
    const { major, minor } = unpackDevice(dev);
    this.#device = `${major}:${minor}`;
    this.#root = newFolder('', Number(ino));
  }

  isAt({ dev, ino }: TreeRoot): boolean {
    return dev === this.#deviceNumber && Number(ino) === this.#root.inode;
  }

  /**
   * Everything but directories, as the engine counts it, each file once. Call it after settling the watches. After a cancel it can be called again. Throws `Unwatchable` when the tree has to be
   * walked.
   */
  async size(signal: AbortSignal | undefined): Promise<TreeSize> {
    const question = this.#question({ signal, readsAll: false });
    const size = await question.ask(this.#root);
    const elsewhere = namesElsewhere(question);
    const isKnown = [...elsewhere].every(([inode, state]) => this.#elsewhere.get(inode) === state);
    if (isKnown || question.hasReadAll) {
      this.#elsewhere = elsewhere;
      return size;
    }
    // A second name sends no event to the first one's directory, which may still count the file as its own.
    const again = this.#question({ signal, readsAll: true });
    const all = await again.ask(this.#root);
    this.#elsewhere = namesElsewhere(again);
    return all;
  }

  #question(options: { readonly signal: AbortSignal | undefined; readonly readsAll: boolean }): TreeQuestion {
    const { watches, scanner, clock } = this.#parts;
    return new TreeQuestion({
      ...options,
      watches,
      scanner,
      path: this.#path,
      device: this.#device,
      deviceNumber: this.#deviceNumber,
      startMs: clock.steadyMs(),
      startSeconds: clock.nowSeconds(),
      // Spreads the directories over time.
      dueMs: () => clock.steadyMs() + readAgainMs * (0.5 + 0.5 * clock.random()),
    });
  }

  [Symbol.dispose](): void {
    forgetFolder(this.#root, this.#parts.watches);
  }
}

function namesElsewhere({ links: found }: TreeQuestion): Map<bigint, string> {
  const elsewhere = new Map<bigint, string>();
  for (const [inode, { names, links }] of found)
    if (names < links) elsewhere.set(inode, `${names} of ${links}`);
  return elsewhere;
}

interface QuestionParts {
  readonly watches: Watches;
  readonly scanner: DirectoryScanner;
  /** The root's path. */
  readonly path: ByteString;
  /** `major:minor` */
  readonly device: string;
  readonly deviceNumber: bigint;
  /** Monotonic. */
  readonly startMs: number;
  readonly startSeconds: number;
  /** When a directory that is read now has to be read again. */
  readonly dueMs: () => number;
  /** Reads everything, also what is known. */
  readonly readsAll: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Place {
  readonly folder: WatchedFolder;
  /** Below the root. */
  readonly path: ByteString;
  readonly depth: number;
}

const deepest = 100;
const longestPath = 4000;
const openFlags = constants.O_RDONLY | constants.O_DIRECTORY;
const typeDirectory = 0o040000;

/** One pass over a tree. A folder is updated once it was read to its end, so a pass may end at any time. */
class TreeQuestion {
  /** How many names were seen of each file that has several. */
  readonly links = new Map<bigint, { names: number; links: number }>();
  /** Nothing was taken as known. */
  hasReadAll = true;
  readonly #parts: QuestionParts;
  readonly #breather: Breather;
  #bytes = 0;
  #files = 0;
  /** Opened with the first directory that is read. */
  #directories: OpenDirectories | undefined;

  constructor(parts: QuestionParts) {
    this.#parts = parts;
    this.#breather = new Breather(`measuring "${toPrintable(parts.path)}"`, parts.signal);
  }

  async ask(root: WatchedFolder): Promise<TreeSize> {
    this.#breather.check();
    using _open = { [Symbol.dispose]: () => this.#directories?.[Symbol.dispose]() };
    const waiting: Place[] = [{ folder: root, path: '', depth: 0 }];
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      const { folder, path, depth } = place;
      if (this.#breather.isDue()) await this.#breather.breathe();
      if (this.#isToBeRead(folder)) await this.#read(place);
      else this.#askSome(place);
      this.#bytes += folder.quietBytes;
      this.#files += folder.quietFiles;
      for (const below of folder.below)
        waiting.push({
          folder: below,
          path: path === '' ? below.name : `${path}/${below.name}`,
          depth: depth + 1,
        });
    }
    return { bytes: this.#bytes, files: this.#files };
  }

  #isToBeRead({ watch, asks, dueMs }: WatchedFolder): boolean {
    const { readsAll, startMs } = this.#parts;
    return readsAll || watch === undefined || asks === undefined || dueMs <= startMs;
  }

  /**
   * Watches first, then reads the names: what happens in between sends an event, and is read the next time.
   */
  async #read(place: Place): Promise<void> {
    const { folder, path, depth } = place;
    const { watches } = this.#parts;
    if (depth > deepest || path.length > longestPath)
      throw new Unwatchable('it is too deep', { isLasting: true });
    const fd = this.#open(place);
    if (fd === undefined) return this.#leaveOut(folder);
    using _open = { [Symbol.dispose]: () => closeSync(fd) };
    if (folder.watch === undefined && !watches.add(folder, fd))
      throw new Unwatchable('there are too many directories', { isLasting: true });
    try {
      await this.#readOpen(folder, fd);
    } catch (error) {
      // The names were not all read, so a watch alone would vouch for unknown contents.
      watches.remove(folder);
      throw error;
    }
  }

  async #readOpen(folder: WatchedFolder, fd: number): Promise<void> {
    const { watches, scanner, device, startSeconds, dueMs } = this.#parts;
    const count = (found: Scanned): void => this.#count(found);
    const reading = new FolderReading({ device, nowSeconds: startSeconds, count });
    for (;;) {
      const state = scanner.next(fd, reading);
      if (state === 'failed') throw new Unwatchable('it cannot be read', { isLasting: false });
      if (state === 'end') break;
      if (this.#breather.isDue()) await this.#breather.breathe();
    }
    folder.below = this.#below(folder.below, reading.below);
    folder.quietBytes = reading.quietBytes;
    folder.quietFiles = reading.quietFiles;
    folder.asks = reading.asks();
    folder.dueMs = dueMs();
    if (reading.hasFailed) watches.remove(folder);
  }

  /** An existing entry keeps what is known of it. */
  #below(before: readonly WatchedFolder[], found: readonly FoundFolder[]): readonly WatchedFolder[] {
    const known = new Map(before.map((folder) => [folder.name, folder]));
    const below = found.map(({ name, inode }) => {
      const same = known.get(name);
      if (same?.inode !== inode) return newFolder(name, inode);
      known.delete(name);
      return same;
    });
    for (const gone of known.values()) forgetFolder(gone, this.#parts.watches);
    return below.length === 0 ? noFolders : below;
  }

  #askSome(place: Place): void {
    const { folder } = place;
    const { watches, scanner, startSeconds } = this.#parts;
    this.hasReadAll = false;
    if (folder.asks === '' || folder.asks === undefined) return;
    const fd = this.#open(place);
    if (fd === undefined) return this.#leaveOut(folder);
    using _open = { [Symbol.dispose]: () => closeSync(fd) };
    const names = folder.asks.split('\0');
    let restless = 0;
    const failed = scanner.ask(fd, names, (found) => {
      // It became a directory, which has sent an event.
      if (found.type === typeDirectory) return;
      this.#count(found);
      if (mustAsk(found, startSeconds)) restless += 1;
    });
    // Read again the next time: some are gone, or have come to rest.
    if (failed > 0 || restless * 2 < names.length) watches.remove(folder);
  }

  /** Adds an entry, unless another name of the file was added. */
  #count({ inode, links, bytes }: Scanned): void {
    if (links > 1) {
      const link = this.links.get(inode);
      this.links.set(inode, { names: (link?.names ?? 0) + 1, links });
      if (link !== undefined) return;
    }
    this.#bytes += bytes;
    this.#files += 1;
  }

  /**
   * Undefined for a folder that is gone or unreadable, as in a walk. Found name by name below held directories: a container
   * can put a link in the place of any part of its path.
   */
  #open({ folder, path, depth }: Place): number | undefined {
    let fd: number;
    try {
      // Its own metadata is not touched.
      this.#directories ??= new OpenDirectories(this.#parts.path, { isStaged: true, keepsRoot: true });
      const { handle } = this.#directories.enter(path, { create: false });
      fd = openSync(toPath(handle.self), openFlags);
    } catch (error) {
      if (errnoOf(error) === undefined && !isAppError(error, 'conflict')) throw error;
      // A walk has the right message.
      if (depth === 0) throw new Unwatchable('it cannot be opened', { isLasting: false });
      return undefined;
    }
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (dev === this.#parts.deviceNumber && Number(ino) === folder.inode) return fd;
    closeSync(fd);
    throw new Unwatchable('something else came into its place meanwhile', { isLasting: false });
  }

  /** No event says when it becomes readable, so it is tried each time. */
  #leaveOut(folder: WatchedFolder): void {
    forgetFolder(folder, this.#parts.watches);
    folder.quietBytes = 0;
    folder.quietFiles = 0;
    folder.asks = '';
  }
}
