import { AppError } from '../../model/errors.ts';
import { damaged } from './tar-member.ts';

/** Reads a stream of chunks by length. Buffers one chunk, or as much as one `take` requests. */
export class ByteSource implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #chunk: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** The next `length` bytes if they are buffered, without waiting. */
  takeNow(length: number): Buffer | undefined {
    if (this.#chunk.length < length) return undefined;
    const bytes = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    return bytes;
  }

  /** The next `length` bytes, or undefined at the end of the stream. `integrity` when it ends in between. */
  async take(length: number): Promise<Buffer | undefined> {
    const atHand = this.takeNow(length);
    if (atHand !== undefined) return atHand;
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const piece = await this.takeSome(missing);
      if (piece === undefined) {
        if (missing === length) return undefined;
        throw truncated();
      }
      pieces.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(pieces, length);
  }

  /** Between 1 and `limit` bytes, without copying, or undefined at the end of the stream. */
  async takeSome(limit: number): Promise<Buffer | undefined> {
    while (this.#chunk.length === 0) if (!(await this.#fill())) return undefined;
    const bytes = this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.subarray(bytes.length);
    return bytes;
  }

  async skip(length: number): Promise<void> {
    let missing = length;
    while (missing > 0) {
      const piece = await this.takeSome(missing);
      if (piece === undefined) throw truncated();
      missing -= piece.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#chunks.return?.();
  }

  async #fill(): Promise<boolean> {
    if (this.#ended) return false;
    if (this.#signal?.aborted === true)
      throw new AppError('cancelled', 'Cancelled while reading the tar archive');
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#ended = true;
      return false;
    }
    const { buffer, byteOffset, byteLength } = next.value;
    this.#chunk = Buffer.from(buffer, byteOffset, byteLength);
    return true;
  }
}

export function truncated(): AppError {
  return damaged('The stream ends in the middle of the archive.');
}
