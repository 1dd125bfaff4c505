/** Memory that is used again and again, so that a large buffer is not mapped and cleared for each use. */
export class Room {
  #buffer: Buffer = Buffer.alloc(0);

  /** At least `length` bytes with old content, valid until the next `take`. */
  take(length: number): Buffer {
    if (this.#buffer.length < length)
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(length, this.#buffer.length * 2));
    return this.#buffer.subarray(0, length);
  }
}
