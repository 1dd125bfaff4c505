import { nextData, nextHole } from '../../lib/posix.ts';
import type { FileStat } from '../../lib/posix-at.ts';
import { minChunkBytes } from '../chunker/chunker.ts';
import { pieceBytesOf } from './piece-proof.ts';
import { segmentBytes } from './save-task.ts';

/** How a file is cut where it has nothing but zeros. */
export interface ZeroCuts {
  readonly chunkBytes: number;
  /** So many bytes are skipped at a time: one chunk, or as many as are proven together. */
  readonly unitBytes: number;
  /** Where units begin. */
  readonly alignBytes: number;
  /** A chunk that begins before zeros ends before so many of them, counted from where a unit can begin. */
  readonly tailBytes: number;
}

/** What the fingerprint of the chunker is taken of. */
const windowBytes = 64;

/**
 * The fingerprint of 64 zeros is zero, which is where a chunk ends, once it has the least size: over zeros each chunk has
 * that size. In a file of pages chunks have one size anyway.
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

/** A smaller one is read as quickly as it is looked for. */
const worthSkipping = 2 * 1024 * 1024;

/**
 * The holes of an open file: what need not be read, since it is zeros. They are as they are when they are asked for, as
 * what is read is. Moves the file's offset.
 */
export class FileHoles {
  readonly cuts: ZeroCuts;
  readonly #fd: number;
  readonly #end: number;
  readonly #least: number;
  #canSkip: boolean;
  /** The first one that is worth it from `#seenFrom` on; none before `#seenTo`, where it is undefined. */
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

  /** How many bytes of a hole begin at `start`, in whole units; `start` is where a chunk begins. */
  zerosAt(start: number): number {
    const hole = this.#holeFrom(start);
    if (hole === undefined || hole.from > start) return 0;
    return Math.floor((hole.to - start) / this.cuts.unitBytes) * this.cuts.unitBytes;
  }

  /**
   * Where reading from `start` on may end, since a chunk ends before it in the zeros that follow; undefined where there
   * are none near.
   */
  limitFrom(start: number): number | undefined {
    const hole = this.#holeFrom(start);
    if (hole === undefined || hole.from <= start) return undefined;
    const { alignBytes, tailBytes } = this.cuts;
    const limit = Math.ceil(hole.from / alignBytes) * alignBytes + tailBytes;
    return limit < hole.to && limit > start ? limit : undefined;
  }

  /** True when all of a part is in a hole now. */
  isHole(start: number, bytes: number): boolean {
    if (!this.#canSkip || start + bytes > this.#end) return false;
    return (this.#dataFrom(start) ?? this.#end) >= start + bytes;
  }

  /** What was seen is not so any more: all of it is read. */
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
