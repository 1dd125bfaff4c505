import type { Scanned, ScanHandlers } from '../../lib/scan-directory.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { Watcher, Watches } from './watches.ts';

/** A watched directory, with what is known of it until it reports a change. */
export interface WatchedFolder extends Watcher {
  readonly name: ByteString;
  readonly inode: number;
  /** Total length of the files that need not be asked. */
  quietBytes: number;
  quietFiles: number;
  /**
   * The names to ask each time, separated by zeros; undefined when they are so many that all is read again.
   */
  asks: ByteString | undefined;
  below: readonly WatchedFolder[];
  /** When it is read again at the latest, without an event. */
  dueMs: number;
}

export const noFolders: readonly WatchedFolder[] = [];

/** A folder of which nothing is known yet. */
export function newFolder(name: ByteString, inode: number): WatchedFolder {
  return {
    watch: undefined,
    name,
    inode,
    quietBytes: 0,
    quietFiles: 0,
    asks: '',
    below: noFolders,
    dueMs: 0,
  };
}

/** Removes the watches of a directory and everything below it. */
export function forgetFolder(folder: WatchedFolder, watches: Watches): void {
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    watches.remove(next);
    // They may exceed the number of arguments that a call takes.
    for (const below of next.below) waiting.push(below);
    next.below = noFolders;
  }
}

/** Why a tree cannot be watched, and has to be walked. */
export class Unwatchable extends Error {
  /** The result will be the same next time. */
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
  /** `major:minor` of the tree; entries on another device do not belong to it. */
  readonly device: string;
  readonly nowSeconds: number;
  /** Adds an entry to what was asked. */
  readonly count: (found: Scanned) => void;
}

const typeDirectory = 0o040000;
/** This many names are always asked; beyond it only a share of all, as reading all again is then cheaper. */
const fewNames = 8;
const askedPart = 1 / 4;
const manyNames = 1000;

/** Adds up the entries of one directory. */
export class FolderReading implements ScanHandlers {
  readonly below: FoundFolder[] = [];
  quietBytes = 0;
  quietFiles = 0;
  /** Something could not be asked: it may be gone, or may appear without an event. */
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
      this.quietFiles += 1;
      return;
    }
    this.#parts.count(found);
    this.#asked += 1;
    if (this.#asked <= manyNames || !this.#areMany()) this.#names.push(name());
  };

  readonly onFailed = (): void => {
    this.hasFailed = true;
  };

  /** The names to ask each time; undefined when there are too many. */
  asks(): ByteString | undefined {
    return this.#names.length < this.#asked || this.#areMany() ? undefined : this.#names.join('\0');
  }

  #areMany(): boolean {
    return this.#asked > Math.max(fewNames, this.#entries * askedPart);
  }

  #visitFolder({ permissions, device, inode }: Scanned, name: ByteString): void {
    // An overlay works here, with parts in this tree: before Linux 6.8, writes through it send no event.
    if (name === 'work' && permissions === 0)
      throw new Unwatchable('an overlay may write to it', { isLasting: true });
    if (device === this.#parts.device) this.below.push({ name, inode: Number(inode) });
  }
}

/** Files that grow by asynchronous I/O (databases, disk images) soon reach this size. */
const largeBytes = 64 << 10;
/** A file written a moment ago is likely to be written again. */
const youngSeconds = 300;

/**
 * Whether a file may grow without an event for its directory, and so has to be asked each time: asynchronous
 * I/O (`io_submit`) sends none, and a write through another name notifies that name's directory.
 */
export function mustAsk(
  { bytes, links, modifiedAt }: Pick<Scanned, 'bytes' | 'links' | 'modifiedAt'>,
  nowSeconds: number,
): boolean {
  return bytes >= largeBytes || links > 1 || Math.abs(nowSeconds - modifiedAt) <= youngSeconds;
}
