/** A piece of shared memory on loan. */
export interface Slab {
  readonly bytes: Uint8Array;
  release(): void;
}

const smallestBytes = 2 * 1024 * 1024;

/**
 * Reused shared memory for bytes on their way to a worker: transferred buffers would pile up until the
 * worker's garbage collection. When too much is on loan, the next caller waits.
 */
export class Slabs {
  readonly #limitBytes: number;
  readonly #free = new Map<number, SharedArrayBuffer[]>();
  readonly #waiting: (() => void)[] = [];
  #lentBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** A slab whose `bytes` are `length` long. One larger than the limit is lent when nothing else is. */
  async take(length: number): Promise<Slab> {
    const size = Math.max(smallestBytes, 2 ** Math.ceil(Math.log2(Math.max(length, 1))));
    while (this.#lentBytes > 0 && this.#lentBytes + size > this.#limitBytes) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#lentBytes += size;
    const buffer = this.#free.get(size)?.pop() ?? new SharedArrayBuffer(size);
    return { bytes: new Uint8Array(buffer, 0, length), release: () => this.#release(size, buffer) };
  }

  #release(size: number, buffer: SharedArrayBuffer): void {
    this.#lentBytes -= size;
    const free = this.#free.get(size) ?? [];
    this.#free.set(size, free);
    free.push(buffer);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
