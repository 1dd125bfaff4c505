/** As long as the kernel itself delays writes: little is left to wait for then. */
const delayMs = 30_000;
const most = 10_000;

/**
 * Runs work some time after it was requested, once for all requests meanwhile, and at the latest on dispose.
 */
export class SettleLater implements AsyncDisposable {
  readonly #work: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #asked = 0;
  #running: Promise<void> = Promise.resolve();

  /** The work itself reports what it could not do. */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  ask(): void {
    this.#asked += 1;
    if (this.#asked >= most) this.#begin();
    else this.expect();
  }

  /** The same for what other processes may have left: disposing does not wait for it. */
  expect(): void {
    this.#timer ??= setTimeout(() => this.#begin(), delayMs).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#asked > 0) this.#begin();
    await this.#running;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asked = 0;
    this.#running = this.#running.then(() => this.#work());
  }
}
