import type { Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { Chunker, minChunkBytes } from '../chunker/chunker.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { segmentBytes } from './save-task.ts';

interface PendingFile {
  readonly length: number;
  readonly resolve: (ids: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Small files travel to a worker together. */
const parcelBytes = 2 * 1024 * 1024;

/** Cuts files that arrive as streams into chunks, and has the workers store them. */
export class StreamContent {
  readonly #scheduler: SaveScheduler;
  readonly #chunker: Chunker;
  #parcel: Uint8Array[] = [];
  #parcelFiles: PendingFile[] = [];
  #parcelUsed = 0;

  constructor(scheduler: SaveScheduler, polynomial: bigint) {
    this.#scheduler = scheduler;
    this.#chunker = new Chunker(polynomial, segmentBytes);
  }

  /** Reads a body to its end. The ids follow when the workers have stored it. */
  async save(entry: Entry, body: AsyncIterable<Uint8Array>): Promise<{ pending: Promise<string[]> }> {
    const { buffer } = this.#chunker;
    const ids: Promise<string[]>[] = [];
    let used = 0;
    const store = async (isLast: boolean): Promise<void> => {
      const lengths = this.#cut(used, isLast);
      const covered = lengths.reduce((sum, length) => sum + length, 0);
      if (covered > 0) ids.push((await this.#send(new Uint8Array(buffer.subarray(0, covered)), lengths)).ids);
      buffer.copyWithin(0, covered, used);
      used -= covered;
    };
    let total = 0;
    for await (const chunk of withHoles(entry, body)) {
      total += chunk.length;
      for (let from = 0; from < chunk.length;) {
        const count = Math.min(chunk.length - from, buffer.length - used);
        buffer.set(chunk.subarray(from, from + count), used);
        used += count;
        from += count;
        if (used === buffer.length) await store(false);
      }
    }
    if (total !== entry.size) throw new AppError('integrity', `The stream cut "${entry.path}" short`);
    if (ids.length === 0 && used <= minChunkBytes)
      return { pending: this.#addToParcel(new Uint8Array(buffer.subarray(0, used))) };
    if (used > 0) await store(true);
    const pending = Promise.all(ids).then((parts) => parts.flat());
    return { pending };
  }

  #cut(used: number, isLast: boolean): number[] {
    const lengths: number[] = [];
    for (let at = 0; at < used;) {
      const end = this.#chunker.findEnd(at, used, isLast);
      if (end === undefined) break;
      lengths.push(end - at);
      at = end;
    }
    return lengths;
  }

  async #send(
    content: Uint8Array<ArrayBuffer>,
    lengths: readonly number[],
  ): Promise<{ ids: Promise<string[]> }> {
    await this.#scheduler.room();
    const sent = this.#scheduler.run(
      { kind: 'blobs', type: 'data', content, lengths },
      { transfer: [content.buffer] },
    );
    const ids = sent.then((result) => result.ids as string[]);
    ids.catch(() => undefined);
    return { ids };
  }

  #addToParcel(content: Uint8Array): Promise<string[]> {
    if (content.length === 0) return Promise.resolve([]);
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    this.#parcel.push(content);
    this.#parcelFiles.push({ length: content.length, resolve, reject });
    this.#parcelUsed += content.length;
    if (this.#parcelUsed >= parcelBytes) this.sendParcel();
    return promise;
  }

  /** Sends the small files that wait for more. */
  sendParcel(): void {
    const files = this.#parcelFiles;
    if (files.length === 0) return;
    const content = new Uint8Array(Buffer.concat(this.#parcel));
    this.#parcel = [];
    this.#parcelFiles = [];
    this.#parcelUsed = 0;
    const lengths = files.map(({ length }) => length);
    this.#scheduler
      .run({ kind: 'blobs', type: 'data', content, lengths }, { transfer: [content.buffer] })
      .then(
        ({ ids }) => files.forEach(({ resolve }, i) => resolve([ids[i] ?? ''])),
        (error: unknown) => files.forEach(({ reject }) => reject(error)),
      );
  }
}

/** The bytes of a file as a program reads it: a sparse file's stream has its data only. */
async function* withHoles(entry: Entry, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (entry.dataRuns === undefined) {
    yield* body;
    return;
  }
  const runs = [...entry.dataRuns];
  let position = 0;
  let run = runs.shift();
  for await (let chunk of body) {
    while (chunk.length > 0 && run) {
      yield* zeros(run.offset - position);
      position = Math.max(position, run.offset);
      const part = chunk.subarray(0, run.offset + run.length - position);
      yield part;
      position += part.length;
      chunk = chunk.subarray(part.length);
      if (position === run.offset + run.length) run = runs.shift();
    }
  }
  yield* zeros(entry.size - position);
}

const zeroBlock = new Uint8Array(1024 * 1024);

function* zeros(length: number): Iterable<Uint8Array> {
  for (let left = length; left > 0; left -= zeroBlock.length)
    yield zeroBlock.subarray(0, Math.min(left, zeroBlock.length));
}
