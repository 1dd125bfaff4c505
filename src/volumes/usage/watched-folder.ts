import type { Scanned, ScanHandlers } from '../../lib/scan-directory.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { Watcher, Watches } from './watches.ts';

/** A directory that is watched, with what is known of it while nothing says that it has changed. */
export interface WatchedFolder extends Watcher {
  readonly name: ByteString;
  readonly inode: number;
  /** Sum of the lengths of what need not be asked. */
  quietBytes: number;
  /** The names of what has to be asked each time, divided by zeros; undefined when they are so many that all is read again. */
  asks: ByteString | undefined;
  below: readonly WatchedFolder[];
  /** When it is read again at the latest, though nothing has said that it changed. */
  dueMs: number;
}

export const noFolders: readonly WatchedFolder[] = [];

/** Nothing is known of it yet. */
export function newFolder(name: ByteString, inode: number): WatchedFolder {
  return { watch: undefined, name, inode, quietBytes: 0, asks: '', below: noFolders, dueMs: 0 };
}

/** Takes the watches away of a directory and of all below it. */
export function forgetFolder(folder: WatchedFolder, watches: Watches): void {
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    watches.remove(next);
    // They may be more than a call takes arguments.
    for (const below of next.below) waiting.push(below);
    next.below = noFolders;
  }
}

/** Why a tree cannot be watched: it has to be walked. */
export class Unwatchable extends Error {
  /** It will be the same the next time. */
  readonly isLasting: boolean;

  constructor(message: string, { isLasting }: { readonly isLasting: boolean }) {
    super(message);
    this.isLasting = isLasting;
  }
}

export interface FoundFolder {
  readonly name: ByteString;
  readonly inode: number;
}

export interface ReadingParts {
  /** `major:minor` of the tree; what is on another is none of its. */
  readonly device: string;
  readonly nowSeconds: number;
  /** The length, unless another name of it has been counted. */
  readonly count: (found: Scanned) => number;
}

const typeDirectory = 0o040000;
/** So few are asked in any case, and else no more than a part of all: to read the directory again is cheaper then. */
const fewNames = 8;
const askedPart = 1 / 4;
const manyNames = 1000;

/** Adds up what is in one directory. */
export class FolderReading implements ScanHandlers {
  readonly below: FoundFolder[] = [];
  quietBytes = 0;
  askedBytes = 0;
  /** Something could not be asked about: it may be gone, or may come into sight without a word. */
  hasFailed = false;
  readonly #parts: ReadingParts;
  readonly #names: ByteString[] = [];
  #entries = 0;
  #asked = 0;

  constructor(parts: ReadingParts) {
    this.#parts = parts;
  }

  readonly visit = (found: Scanned, name: () => ByteString): void => {
    this.#entries += 1;
    if (found.type === typeDirectory) return this.#visitFolder(found, name());
    if (!mustAsk(found, this.#parts.nowSeconds)) {
      this.quietBytes += found.bytes;
      return;
    }
    this.askedBytes += this.#parts.count(found);
    this.#asked += 1;
    if (this.#asked <= manyNames || !this.#areMany()) this.#names.push(name());
  };

  readonly onFailed = (): void => {
    this.hasFailed = true;
  };

  /** The names of what has to be asked each time; undefined when these are too many. */
  asks(): ByteString | undefined {
    return this.#names.length < this.#asked || this.#areMany() ? undefined : this.#names.join('\0');
  }

  #areMany(): boolean {
    return this.#asked > Math.max(fewNames, this.#entries * askedPart);
  }

  #visitFolder({ permissions, device, inode }: Scanned, name: ByteString): void {
    // An overlay works here, so that parts of it lie in this tree: before Linux 6.8, what is written through it is not told.
    if (name === 'work' && permissions === 0)
      throw new Unwatchable('an overlay may write to it', { isLasting: true });
    if (device === this.#parts.device) this.below.push({ name, inode: Number(inode) });
  }
}

/** What grows by asynchronous I/O (databases, images of disks) is this large soon. */
const largeBytes = 64 << 10;
/** What was written to a moment ago is likely to be written to again. */
const youngSeconds = 300;

/**
 * Whether a file may become longer without a word to the watch of its directory, so that it has to be asked each
 * time: asynchronous I/O (`io_submit`) is not told, and a write through another name tells the other name's directory.
 */
export function mustAsk(
  { bytes, links, modifiedAt }: Pick<Scanned, 'bytes' | 'links' | 'modifiedAt'>,
  nowSeconds: number,
): boolean {
  return bytes >= largeBytes || links > 1 || Math.abs(nowSeconds - modifiedAt) <= youngSeconds;
}
