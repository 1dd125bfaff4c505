const largeBytes = 1024 * 1024;

/** Reused memory, so that a large buffer is not mapped and cleared for each use. */
export class Room {
  #buffer: Buffer = Buffer.alloc(0);

  /** At least `length` bytes with undefined content, valid until the next `take`. */
  take(length: number): Buffer {
    if (this.#buffer.length < length) {
      // Large rooms grow by less: there is one for each read of each worker, and none exceeds the size of a
      // pack.
      const some = length < largeBytes ? this.#buffer.length * 2 : Math.ceil(length * 1.25);
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(length, some));
    }
    return this.#buffer.subarray(0, length);
  }
}
