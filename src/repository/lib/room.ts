const largeBytes = 1024 * 1024;

/** Memory that is used again and again, so that a large buffer is not mapped and cleared for each use. */
export class Room {
  #buffer: Buffer = Buffer.alloc(0);

  /** At least `length` bytes with old content, valid until the next `take`. */
  take(length: number): Buffer {
    if (this.#buffer.length < length) {
      // A large one grows by less: there is one for each read of each worker, and packs have their size at most.
      const some = length < largeBytes ? this.#buffer.length * 2 : Math.ceil(length * 1.25);
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(length, some));
    }
    return this.#buffer.subarray(0, length);
  }
}
