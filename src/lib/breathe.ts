import { setImmediate } from 'node:timers/promises';
import { AppError } from '../model/errors.ts';

const sliceMs = 15;

/** Lets long work of synchronous calls yield regularly to timers, signals and streams. */
export class Breather {
  readonly #signal: AbortSignal | undefined;
  readonly #what: string;
  #last = performance.now();
  #calls = 0;

  /** `what` completes the sentence "Cancelled while …". */
  constructor(what: string, signal: AbortSignal | undefined) {
    this.#what = what;
    this.#signal = signal;
  }

  /** Cheap enough to call for every file. */
  isDue(): boolean {
    if ((++this.#calls & 15) !== 0) return false;
    return performance.now() - this.#last > sliceMs;
  }

  /** Throws `cancelled` when the signal is aborted. */
  async breathe(): Promise<void> {
    this.check();
    await setImmediate();
    this.#last = performance.now();
    this.check();
  }

  check(): void {
    if (this.#signal?.aborted === true) throw new AppError('cancelled', `Cancelled while ${this.#what}`);
  }
}
