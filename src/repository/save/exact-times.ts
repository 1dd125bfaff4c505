import type { ByteString } from '../../model/byte-string.ts';

export type ReadTimes = (paths: readonly ByteString[]) => Promise<readonly (bigint | undefined)[]>;

interface Question {
  readonly path: ByteString;
  readonly resolve: (timeNs: bigint | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const pathsAtOnce = 512;
/** The stream pauses when this many responses are outstanding. */
const maxWaiting = 4096;

/** Requests exact times for a stream that has whole seconds only, many paths at once. */
export class ExactTimes {
  readonly #read: ReadTimes;
  readonly #questions: Question[] = [];
  #asking: Promise<void> | undefined;

  constructor(read: ReadTimes) {
    this.#read = read;
  }

  ask(path: ByteString): Promise<bigint | undefined> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ path, resolve, reject });
      this.#asking ??= this.#askAll();
    });
  }

  /** Waits until few responses are outstanding. */
  async room(): Promise<void> {
    while (this.#questions.length >= maxWaiting && this.#asking) await this.#asking;
  }

  async #askAll(): Promise<void> {
    // Requests of the same turn are sent together.
    await new Promise((resolve) => setImmediate(resolve));
    const batch = this.#questions.splice(0, pathsAtOnce);
    try {
      const times = await this.#read(batch.map(({ path }) => path));
      batch.forEach(({ resolve }, i) => resolve(times[i]));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#asking = this.#questions.length > 0 ? this.#askAll() : undefined;
  }
}
