import { awaitedLater } from '../../lib/awaited-later.ts';
import { toPrintable } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { Chunker, type Cutter, fixedCutter, minChunkBytes } from '../chunker/chunker.ts';
import { chunkBytesOf, headBytes } from '../chunker/paged-file.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { segmentBytes } from './save-task.ts';
import { type Slab, Slabs } from './slabs.ts';

interface PendingFile {
  readonly length: number;
  readonly resolve: (ids: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Small files are sent to a worker together, as are chunks of a large one. */
const parcelBytes = 2 * 1024 * 1024;
/** A task may not claim more blobs than the index has room for before it can grow. */
const parcelFiles = 1000;
const groupBytes = 4 * 1024 * 1024;
const underWayBytes = 32 * 1024 * 1024;

/** The buffered part of a file. */
interface Piece {
  readonly used: number;
  readonly isLast: boolean;
  readonly cutter: Cutter;
  readonly ids: Promise<string[]>[];
}

/** Cuts streamed files into chunks and has the workers store them. */
export class StreamContent {
  readonly #scheduler: SaveScheduler;
  readonly #chunker: Chunker;
  readonly #slabs = new Slabs(underWayBytes);
  #parcel: Slab | undefined;
  #parcelFiles: PendingFile[] = [];
  #parcelUsed = 0;

  constructor(scheduler: SaveScheduler, polynomial: bigint) {
    this.#scheduler = scheduler;
    this.#chunker = new Chunker(polynomial, segmentBytes);
  }

  /** Reads a body to its end. `pending` resolves to the ids when the workers have stored it. */
  async save(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<{ pending: Promise<string[]> }> {
    const { pending, size } = await this.#save(withHoles(entry, body), entry.size);
    if (size !== entry.size) throw wrongLength(entry);
    return { pending };
  }

  /** The same for a body of unknown length. */
  async saveUnsized(body: AsyncIterable<Uint8Array>): Promise<{ pending: Promise<string[]>; size: number }> {
    return await this.#save(body, undefined);
  }

  async #save(
    body: AsyncIterable<Uint8Array>,
    expected: number | undefined,
  ): Promise<{ pending: Promise<string[]>; size: number }> {
    const { buffer } = this.#chunker;
    const ids: Promise<string[]>[] = [];
    let used = 0;
    let total = 0;
    let cutter: Cutter | undefined;
    for await (const chunk of body) {
      total += chunk.length;
      for (let from = 0; from < chunk.length;) {
        const count = Math.min(chunk.length - from, buffer.length - used);
        buffer.set(chunk.subarray(from, from + count), used);
        used += count;
        from += count;
        if (used < buffer.length) continue;
        cutter ??= this.#cutterOf(used, expected);
        used = await this.#storeChunks({ used, isLast: false, cutter, ids });
      }
    }
    if (expected !== undefined && total !== expected) return { pending: Promise.resolve([]), size: total };
    const isWhole = ids.length === 0 && used <= minChunkBytes;
    if (isWhole && chunkBytesOf(buffer.subarray(0, Math.min(used, headBytes)), used) === undefined) {
      const { ids: pending } = await this.#addToParcel(buffer.subarray(0, used));
      return { pending, size: total };
    }
    cutter ??= this.#cutterOf(used, expected);
    await this.#storeChunks({ used, isLast: true, cutter, ids });
    const pending = Promise.all(ids).then((parts) => parts.flat());
    return { pending, size: total };
  }

  /** Sends the collected small files. */
  sendParcel(): void {
    const parcel = this.#parcel;
    const files = this.#parcelFiles;
    if (!parcel) return;
    this.#parcel = undefined;
    this.#parcelFiles = [];
    const lengths = files.map(({ length }) => length);
    this.#send(parcel, this.#parcelUsed, lengths).then(
      (ids) => files.forEach(({ resolve }, i) => resolve([ids[i] ?? ''])),
      (error: unknown) => files.forEach(({ reject }) => reject(error)),
    );
  }

  /**
   * Sends the chunks that end in the buffer, and moves the rest to its start. Returns the length of the rest.
   */
  async #storeChunks({ used, isLast, cutter, ids }: Piece): Promise<number> {
    const { buffer } = this.#chunker;
    let start = 0;
    while (start < used) {
      const lengths = cutGroup(start, { used, isLast, cutter });
      if (lengths.length === 0) break;
      const length = lengths.reduce((sum, one) => sum + one, 0);
      const slab = await this.#slabs.take(length);
      slab.bytes.set(buffer.subarray(start, start + length));
      const sent = this.#send(slab, length, lengths);
      awaitedLater(sent);
      ids.push(sent);
      start += length;
    }
    buffer.copyWithin(0, start, used);
    return used - start;
  }

  /** A stream of unknown length is not a database file. */
  #cutterOf(used: number, fileBytes: number | undefined): Cutter {
    if (fileBytes === undefined) return this.#chunker;
    const chunkBytes = chunkBytesOf(this.#chunker.buffer.subarray(0, Math.min(used, headBytes)), fileBytes);
    return chunkBytes === undefined ? this.#chunker : fixedCutter(chunkBytes);
  }

  async #send(slab: Slab, length: number, lengths: readonly number[]): Promise<string[]> {
    try {
      const content = slab.bytes.subarray(0, length);
      const { ids } = await this.#scheduler.run({ kind: 'blobs', type: 'data', content, lengths });
      return [...ids];
    } finally {
      slab.release();
    }
  }

  async #addToParcel(content: Uint8Array): Promise<{ ids: Promise<string[]> }> {
    if (content.length === 0) return { ids: Promise.resolve([]) };
    const isFull = this.#parcelUsed + content.length > parcelBytes || this.#parcelFiles.length >= parcelFiles;
    if (this.#parcel && isFull) this.sendParcel();
    if (!this.#parcel) {
      this.#parcel = await this.#slabs.take(parcelBytes);
      this.#parcelUsed = 0;
    }
    this.#parcel.bytes.set(content, this.#parcelUsed);
    this.#parcelUsed += content.length;
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    this.#parcelFiles.push({ length: content.length, resolve, reject });
    return { ids: promise };
  }
}

function wrongLength({ path, size }: Entry): AppError {
  return new AppError(
    'integrity',
    `The stream of the volume is damaged: "${toPrintable(path)}" has not the ${size} bytes that it should have`,
  );
}

/** The lengths of the next chunks, enough for one task. */
function cutGroup(start: number, { used, isLast, cutter }: Omit<Piece, 'ids'>): number[] {
  const lengths: number[] = [];
  for (let at = start; at < used && at - start < groupBytes;) {
    const end = cutter.findEnd(at, used, isLast);
    if (end === undefined) break;
    lengths.push(end - at);
    at = end;
  }
  return lengths;
}

/**
 * The bytes of a file as a program reads it: the stream of a sparse file has only its data, and must have all
 * of it.
 */
async function* withHoles(entry: Entry, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (entry.dataRuns === undefined) {
    yield* body;
    return;
  }
  const runs = entry.dataRuns.filter(({ length }) => length > 0).values();
  let position = 0;
  let run = runs.next().value;
  for await (let chunk of body) {
    while (chunk.length > 0) {
      if (!run) throw wrongLength(entry);
      yield* zeros(run.offset - position);
      position = Math.max(position, run.offset);
      const part = chunk.subarray(0, run.offset + run.length - position);
      yield part;
      position += part.length;
      chunk = chunk.subarray(part.length);
      if (position === run.offset + run.length) run = runs.next().value;
    }
  }
  if (run) throw wrongLength(entry);
  yield* zeros(entry.size - position);
}

const zeroBlock = new Uint8Array(1024 * 1024);

function* zeros(length: number): Iterable<Uint8Array> {
  for (let left = length; left > 0; left -= zeroBlock.length)
    yield zeroBlock.subarray(0, Math.min(left, zeroBlock.length));
}
