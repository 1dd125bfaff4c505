import type { Clock } from './work.ts';

interface Sleeper {
  /** In real time, which never jumps. */
  readonly untilMs: number;
  readonly resolve: () => void;
}

/** A clock that a test turns. Real time only goes on; what the clock shows can be set. */
export class FakeClock implements Clock {
  #realMs = 0;
  #offsetMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs: number) {
    this.#offsetMs = startMs;
  }

  now(): number {
    return this.#realMs + this.#offsetMs;
  }

  get realMs(): number {
    return this.#realMs;
  }

  /** As when somebody sets the clock. */
  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#realMs + ms, resolve };
    this.#sleepers.add(sleeper);
    const wake = (): void => {
      this.#sleepers.delete(sleeper);
      resolve();
    };
    signal.addEventListener('abort', wake, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', wake));
  }

  /** Lets real time pass, with everything that happens meanwhile. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#realMs + ms;
    for (;;) {
      await settled();
      const next = this.#next(endMs);
      if (next === undefined) break;
      this.#realMs = next.untilMs;
      this.#sleepers.delete(next);
      next.resolve();
    }
    this.#realMs = endMs;
  }

  /** As a kill does: nobody who sleeps wakes any more. */
  forgetSleepers(): void {
    this.#sleepers.clear();
  }

  #next(endMs: number): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers)
      if (sleeper.untilMs <= endMs && (next === undefined || sleeper.untilMs < next.untilMs)) next = sleeper;
    return next;
  }
}

/** Everything that can happen without time passing has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
