import { proofBytes } from '../../lib/keyed-proof.ts';
import type { FileHoles } from './file-holes.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { segmentBytes, type SaveTask, type SaveTaskResult, type SegmentBoundary } from './save-task.ts';
import type { ZeroChunks } from './zero-chunks.ts';

export interface FileToCut {
  readonly fd: number;
  /** Data appended during the read is left out; reading a busy log might never end otherwise. */
  readonly end: number;
  readonly chunkBytes: number | undefined;
  readonly prove: boolean;
}

export interface StartedPiece {
  readonly piece: Promise<SaveTaskResult>;
  /** The end of its last chunk; equal to its start when the limit is too near. */
  readonly next: number;
  readonly isLast: boolean;
  /** The piece was read up to the given limit. */
  readonly isUpToLimit: boolean;
}

/**
 * The list of a file's chunks is part of a tree, which is read into one string and bounded by its maximum
 * length.
 */
const mostZeroChunks = 7_000_000;

/** Has the workers read and store a file piece by piece, and computes the result for its holes. */
export class PieceStarter {
  readonly #scheduler: SaveScheduler;
  readonly #file: FileToCut;
  readonly #holes: FileHoles;
  #zeros: Promise<ZeroChunks> | undefined;
  #zeroChunks = 0;

  constructor(scheduler: SaveScheduler, file: FileToCut, holes: FileHoles) {
    this.#scheduler = scheduler;
    this.#file = file;
    this.#holes = holes;
  }

  /** Starts the piece at the start of a chunk. Nothing is read from `limit` on. */
  async start(start: number, limit?: number): Promise<StartedPiece> {
    const { end } = this.#file;
    const zeroBytes = this.#zerosAt(start, limit);
    if (zeroBytes > 0) {
      const next = start + zeroBytes;
      const piece = Promise.resolve(await this.#zeroPiece(next, zeroBytes));
      return { piece, next, isLast: next >= end, isUpToLimit: false };
    }
    const holeLimit = this.#holes.limitFrom(start);
    const nearest = Math.min(limit ?? Infinity, holeLimit ?? Infinity);
    const started = await this.#segment(start, nearest === Infinity ? undefined : nearest);
    // A chunk ends before the limit, unless the hole was written to after it was found.
    if (started.next === start && !started.isLast && nearest === holeLimit) this.#holes.give();
    const isUpToLimit = limit === nearest && start + segmentBytes >= limit;
    return { ...started, isUpToLimit };
  }

  #zerosAt(start: number, limit: number | undefined): number {
    const bytes = this.#holes.zerosAt(start);
    const { unitBytes } = this.#holes.cuts;
    const most = mostUnits * unitBytes;
    const within = limit === undefined ? bytes : Math.floor((limit - start) / unitBytes) * unitBytes;
    return Math.min(bytes, within, most);
  }

  async #zeroPiece(next: number, bytes: number): Promise<SaveTaskResult> {
    const { end, chunkBytes, prove } = this.#file;
    const { cuts } = this.#holes;
    this.#zeros ??= this.#scheduler.zeroChunks(cuts, mostUnits);
    const zeros = await this.#zeros;
    const chunks = bytes / cuts.chunkBytes;
    this.#zeroChunks += chunks;
    if (this.#zeroChunks > mostZeroChunks) throw tooManyZeros();
    const proofs =
      prove && chunkBytes !== undefined
        ? zeros.proofs.subarray(0, (bytes / cuts.unitBytes) * proofBytes)
        : undefined;
    return {
      files: [],
      ids: [],
      content: zeros.ids.subarray(0, chunks * 32),
      bytes,
      proofs,
      isHole: true,
      isEnd: next >= end,
      isSame: false,
      pieces: [],
      addedBytes: 0,
      storedBytes: 0,
    };
  }

  async #segment(start: number, limit: number | undefined): Promise<Omit<StartedPiece, 'isUpToLimit'>> {
    const { fd, end, chunkBytes, prove } = this.#file;
    const segment: SaveTask = { kind: 'segment', fd, start, end, limit, chunkBytes, prove };
    // The end of its last chunk is known before the chunks are stored.
    const { promise: boundary, resolve, reject } = Promise.withResolvers<SegmentBoundary>();
    const piece = this.#scheduler.run(segment, { onInterim: resolve });
    piece.catch(reject);
    return { piece, ...(await boundary) };
  }
}

/** For one piece: enough that a file of a TiB has few pieces, and small in memory for all files together. */
const mostUnits = 4096;

/** Reported as a problem of the file. */
function tooManyZeros(): Error {
  return Object.assign(new Error('The file has more zeros than a tree has room for.'), { code: 'EFBIG' });
}
