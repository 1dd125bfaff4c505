import { nextData, nextHole } from '../../lib/posix.ts';
import type { FileStat } from '../../lib/posix-at.ts';
import { minChunkBytes } from '../chunker/chunker.ts';
import { pieceBytesOf } from './piece-proof.ts';
import { segmentBytes } from './save-task.ts';

/** How a run of zeros is cut into chunks. */
export interface ZeroCuts {
  readonly chunkBytes: number;
  /** The unit of skipping: one chunk, or as many as share a proof. */
  readonly unitBytes: number;
  /** Units begin at multiples of this. */
  readonly alignBytes: number;
  /** A chunk that begins before zeros ends before this many of them, counted from where a unit can begin. */
  readonly tailBytes: number;
}

/** The window of the chunker's fingerprint. */
const windowBytes = 64;

/**
 * The fingerprint of 64 zeros is zero, which ends a chunk of at least the minimum size: over zeros, every
 * chunk has the minimum size. A database file has chunks of one size anyway.
 */
export function zeroCutsOf(chunkBytes: number | undefined): ZeroCuts {
  if (chunkBytes === undefined)
    return {
      ...{ chunkBytes: minChunkBytes, unitBytes: minChunkBytes, alignBytes: 1 },
      tailBytes: minChunkBytes + windowBytes,
    };
  const unitBytes = pieceBytesOf(chunkBytes);
  return { chunkBytes, unitBytes, alignBytes: unitBytes, tailBytes: 0 };
}

interface Hole {
  readonly from: number;
  readonly to: number;
}

/** A smaller hole is read as quickly as it is looked up. */
const worthSkipping = 2 * 1024 * 1024;

/**
 * The holes of an open file, which need not be read. They are looked up when asked for, as data is read.
 * Moves the file's offset.
 */
export class FileHoles {
  readonly cuts: ZeroCuts;
  readonly #fd: number;
  readonly #end: number;
  readonly #least: number;
  #canSkip: boolean;
  /** The first worthwhile hole from `#seenFrom` on; undefined when there is none before `#seenTo`. */
  #found: Hole | undefined;
  #seenFrom = 0;
  #seenTo = 0;

  constructor(
    fd: number,
    { end, stat, chunkBytes }: { end: number; stat: FileStat; chunkBytes: number | undefined },
  ) {
    this.#fd = fd;
    this.#end = end;
    this.cuts = zeroCutsOf(chunkBytes);
    this.#least = worthSkipping + this.cuts.tailBytes + 2 * this.cuts.unitBytes;
    this.#canSkip = stat.size - stat.blocks * 512n >= BigInt(this.#least);
  }

  /** How many bytes of a hole follow `start`, in whole units; a chunk begins at `start`. */
  zerosAt(start: number): number {
    const hole = this.#holeFrom(start);
    if (hole === undefined || hole.from > start) return 0;
    return Math.floor((hole.to - start) / this.cuts.unitBytes) * this.cuts.unitBytes;
  }

  /**
   * Where reading from `start` may end, because a chunk ends earlier in the zeros that follow; undefined
   * without zeros nearby.
   */
  limitFrom(start: number): number | undefined {
    const hole = this.#holeFrom(start);
    if (hole === undefined || hole.from <= start) return undefined;
    const { alignBytes, tailBytes } = this.cuts;
    const limit = Math.ceil(hole.from / alignBytes) * alignBytes + tailBytes;
    return limit < hole.to && limit > start ? limit : undefined;
  }

  /** True when a whole part is in a hole now. */
  isHole(start: number, bytes: number): boolean {
    if (!this.#canSkip || start + bytes > this.#end) return false;
    return (this.#dataFrom(start) ?? this.#end) >= start + bytes;
  }

  /** The holes have changed: everything is read from now on. */
  give(): void {
    this.#canSkip = false;
  }

  #holeFrom(start: number): Hole | undefined {
    if (!this.#canSkip) return undefined;
    const found = this.#found;
    if (found !== undefined && start >= this.#seenFrom && start < found.to) return found;
    const until = Math.min(this.#end, start + segmentBytes);
    if (found === undefined && start >= this.#seenFrom && until <= this.#seenTo) return undefined;
    this.#seenFrom = start;
    this.#seenTo = until;
    this.#found = this.#search(start, until);
    return this.#found;
  }

  #search(start: number, until: number): Hole | undefined {
    for (let at = start; at < until;) {
      const data = this.#dataFrom(at);
      const to = Math.min(data ?? this.#end, this.#end);
      if (to - at >= this.#least) return { from: at, to };
      if (data === undefined || data >= until) return undefined;
      at = nextHole(this.#fd, data);
    }
    return undefined;
  }

  #dataFrom(at: number): number | undefined {
    return nextData(this.#fd, at);
  }
}
