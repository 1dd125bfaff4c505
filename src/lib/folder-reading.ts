import type { ByteString } from '../model/byte-string.ts';
import { mustAsk } from './must-ask.ts';
import type { Scanned, ScanHandlers } from './scan-directory.ts';
import { Unwatchable } from './watched-folder.ts';

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
    // An overlay works here, so that parts of it lie in this tree: before Linux 6.8, what is written through it tells nobody.
    if (name === 'work' && permissions === 0)
      throw new Unwatchable('an overlay may write to it', { isLasting: true });
    if (device === this.#parts.device) this.below.push({ name, inode: Number(inode) });
  }
}
