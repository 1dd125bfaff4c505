/** A piece of a container's output. */
interface StreamFrame {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

const headerLength = 8;

/**
 * Splits the engine's multiplexed stream: each frame has its stream's number, three zeros, its length in four
 * bytes, and then its bytes. A frame is returned in pieces, as they arrive, so that none is delayed.
 */
export class FrameReader {
  readonly #header = new Uint8Array(headerLength);
  #headerFilled = 0;
  #left = 0;
  #stream: StreamFrame['stream'] = 'stdout';

  /** True between two frames: where a stream may end. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#headerFilled === 0;
  }

  /** Undefined when this is not such a stream. */
  read(chunk: Uint8Array): StreamFrame[] | undefined {
    const frames: StreamFrame[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(offset, offset + this.#left);
        frames.push({ stream: this.#stream, bytes });
        this.#left -= bytes.length;
        offset += bytes.length;
        continue;
      }
      const part = chunk.subarray(offset, offset + headerLength - this.#headerFilled);
      this.#header.set(part, this.#headerFilled);
      this.#headerFilled += part.length;
      offset += part.length;
      if (this.#headerFilled === headerLength && !this.#startFrame()) return undefined;
    }
    return frames;
  }

  #startFrame(): boolean {
    const view = new DataView(this.#header.buffer);
    const kind = view.getUint8(0);
    if (kind > 2 || view.getUint32(0) % 0x1000000 !== 0) return false;
    this.#stream = kind === 2 ? 'stderr' : 'stdout';
    this.#left = view.getUint32(4);
    this.#headerFilled = 0;
    return true;
  }
}

export class TailBuffer {
  readonly #bytesAtMost: number;
  #chunks: Uint8Array[] = [];
  #length = 0;

  constructor(bytesAtMost: number) {
    this.#bytesAtMost = bytesAtMost;
  }

  add(bytes: Uint8Array): void {
    // A copy: the bytes may be a view of a much larger buffer.
    this.#chunks.push(bytes.slice(-this.#bytesAtMost));
    this.#length += Math.min(bytes.length, this.#bytesAtMost);
    if (this.#length <= 2 * this.#bytesAtMost && this.#chunks.length < 1024) return;
    const joined = Buffer.concat(this.#chunks).subarray(-this.#bytesAtMost);
    this.#chunks = [joined];
    this.#length = joined.length;
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#bytesAtMost).toString('utf8');
  }
}
