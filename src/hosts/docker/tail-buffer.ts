/** Keeps the last bytes of a stream. */
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
