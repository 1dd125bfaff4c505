import { awaitedLater } from '../../lib/awaited-later.ts';
import { fstatSync, ftruncateSync, read, readSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { toPrintable } from '../../model/byte-string.ts';
import type { DataRun, Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { type PieceCodes, pieceBytes } from './piece-codes.ts';
import { dataRuns } from '../../lib/posix.ts';

export interface FilePair {
  /** Open for reading. */
  readonly from: number;
  /** Open for reading, and for writing when it is to be mended. */
  readonly to: number;
  /** The entry of `from`, with its size and runs. */
  readonly entry: Entry;
}

export interface MatchOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Codes of the target's known pieces; completed on the way. Without them, each byte is read on both sides.
   */
  readonly codes?: PieceCodes | undefined;
  /** Writes differences into the target, and reads them back. */
  readonly mends: boolean;
}

export interface Match {
  /** Every byte of the target equals what was read from the source. */
  readonly isSame: boolean;
  readonly writtenBytes: number;
}

const readAsync = promisify(read);
const writeAsync = promisify(write);
/** Read synchronously, in one go. */
const smallBytes = 128 << 10;
const blockBytes = 4096;

/**
 * Compares two files byte for byte, and mends the second. Does not mend a file with a hole where the other
 * has data, or the reverse, so that holes stay holes.
 */
export async function matchContent(pair: FilePair, options: MatchOptions): Promise<Match> {
  const { to, entry } = pair;
  const { codes, mends, signal } = options;
  const { size: sizeBefore } = fstatSync(to);
  if (sizeBefore !== entry.size) {
    if (!mends) return { isSame: false, writtenBytes: 0 };
    codes?.cut(Math.min(sizeBefore, entry.size));
    ftruncateSync(to, entry.size);
  }
  const matcher = new Matcher(pair, options);
  await using source = new ReadAhead(pair.from, piecesOf(pair));
  for (let piece = await source.next(); piece !== undefined; piece = await source.next()) {
    if (signal?.aborted === true) throw new AppError('cancelled', 'Cancelled while comparing');
    if (!(await matcher.match(piece))) return { isSame: false, writtenBytes: matcher.writtenBytes };
  }
  return { isSame: true, writtenBytes: matcher.writtenBytes };
}

interface ReadPiece extends DataRun {
  /** Shorter than the piece when the file has become shorter. */
  readonly bytes: Buffer;
}

class Matcher {
  readonly #pair: FilePair;
  readonly #options: MatchOptions;
  readonly #other: Buffer;
  writtenBytes = 0;

  constructor(pair: FilePair, options: MatchOptions) {
    this.#pair = pair;
    this.#options = options;
    this.#other = Buffer.allocUnsafe(Math.min(pieceBytes, pair.entry.size));
  }

  async match({ offset, length, bytes }: ReadPiece): Promise<boolean> {
    if (bytes.length < length) return false;
    const { codes, mends } = this.#options;
    const code = codes?.of(bytes);
    if (code !== undefined && codes?.isKnown(offset, code) === true) return true;
    const { to } = this.#pair;
    const other = await readFully(to, this.#other.subarray(0, length), offset);
    if (!bytes.equals(other)) {
      if (!mends || this.#isInHole(offset, bytes, other)) return false;
      codes?.forget(offset);
      await this.#write(offset, bytes, other);
      if (!bytes.equals(await readFully(to, this.#other.subarray(0, length), offset))) throw this.#isBad();
    }
    if (code !== undefined) codes?.note(offset, code);
    return true;
  }

  /** Only differing blocks, so that a hole on both sides stays one. */
  async #write(offset: number, bytes: Buffer, other: Buffer): Promise<void> {
    for (const { start, end } of differingBlocks(bytes, other)) {
      const piece = bytes.subarray(start, end);
      for (let done = 0; done < piece.length;) {
        const at = offset + start + done;
        done += (await writeAsync(this.#pair.to, piece, done, piece.length - done, at)).bytesWritten;
      }
      this.writtenBytes += piece.length;
    }
  }

  /** True when the target has data in place of a hole. A nonzero byte is data, even where a hole was seen. */
  #isInHole(offset: number, bytes: Buffer, other: Buffer): boolean {
    const runs = this.#pair.entry.dataRuns;
    if (runs === undefined) return false;
    const isHole = (at: number): boolean =>
      !runs.some((run) => run.offset <= at && run.offset + run.length > at);
    for (const { start, end } of differingBlocks(bytes, other))
      for (let at = start; at < end; at += blockBytes)
        if (isZero(bytes.subarray(at, Math.min(at + blockBytes, end))) && isHole(offset + at)) return true;
    return false;
  }

  #isBad(): AppError {
    const path = toPrintable(this.#pair.entry.path);
    return new AppError(
      'integrity',
      `The copy of "${path}" is not right: what was written is not what is there`,
    );
  }
}

const zeros = Buffer.alloc(blockBytes);

function isZero(block: Buffer): boolean {
  return block.equals(zeros.subarray(0, block.length));
}

/** Merges adjacent blocks that differ. */
function differingBlocks(bytes: Buffer, other: Buffer): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const end = Math.min(start + blockBytes, bytes.length);
    if (bytes.compare(other, start, Math.min(end, other.length), start, end) === 0) continue;
    const last = found.at(-1);
    if (last?.end === start) last.end = end;
    else found.push({ start, end });
  }
  return found;
}

/** Reads ahead while the caller looks at a piece. A buffer is valid until the one after the next. */
class ReadAhead implements AsyncDisposable {
  readonly #fd: number;
  readonly #pieces: Iterator<DataRun>;
  readonly #buffers = [Buffer.alloc(0), Buffer.alloc(0)];
  #count = 0;
  #reading: Promise<ReadPiece | undefined>;

  constructor(fd: number, pieces: Iterator<DataRun>) {
    this.#fd = fd;
    this.#pieces = pieces;
    this.#reading = this.#beginNext();
  }

  async next(): Promise<ReadPiece | undefined> {
    const piece = await this.#reading;
    if (piece !== undefined) this.#reading = this.#beginNext();
    return piece;
  }

  /** An error is thrown when its piece is asked for. */
  #beginNext(): Promise<ReadPiece | undefined> {
    const reading = this.#begin();
    awaitedLater(reading);
    return reading;
  }

  async #begin(): Promise<ReadPiece | undefined> {
    const next = this.#pieces.next();
    if (next.done === true) return undefined;
    const { offset, length } = next.value;
    const turn = this.#count++ % 2;
    let buffer = this.#buffers[turn];
    if (buffer === undefined || buffer.length < length)
      this.#buffers[turn] = buffer = Buffer.allocUnsafeSlow(length);
    return { offset, length, bytes: await readFully(this.#fd, buffer.subarray(0, length), offset) };
  }

  /** The file is not closed during a read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading.catch(() => undefined);
  }
}

/** The parts in which either has data: the rest is holes in both. */
function* piecesOf({ to, entry }: FilePair): Generator<DataRun, undefined> {
  let next = 0;
  for (const run of runsOfEither(entry, entry.dataRuns && dataRuns(to, entry.size))) {
    const first = Math.max(next, Math.floor(run.offset / pieceBytes));
    // Runs of the other side may lie within one of this side.
    next = Math.max(next, Math.ceil((run.offset + run.length) / pieceBytes));
    for (let index = first; index < next; index++) {
      const offset = index * pieceBytes;
      yield { offset, length: Math.min(pieceBytes, entry.size - offset) };
    }
  }
}

function runsOfEither(entry: Entry, other: readonly DataRun[] | undefined): readonly DataRun[] {
  if (entry.dataRuns === undefined || other === undefined) return [{ offset: 0, length: entry.size }];
  return [...entry.dataRuns, ...other].sort((a, b) => a.offset - b.offset);
}

async function readFully(fd: number, buffer: Buffer, at: number): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const rest = buffer.length - filled;
    const bytesRead =
      buffer.length <= smallBytes
        ? readSync(fd, buffer, filled, rest, at + filled)
        : (await readAsync(fd, buffer, filled, rest, at + filled)).bytesRead;
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
