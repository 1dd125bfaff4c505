import { setTimeout as sleep } from 'node:timers/promises';
import type { Pace } from './store.ts';
import { cancelled } from './store-errors.ts';

/** A rate limit, as plain data that threads share. */
export interface PaceState {
  readonly bytesPerSecond: number;
  /** Nanoseconds of the machine's monotonic clock at which the next byte may go. */
  readonly nextFree: SharedArrayBuffer;
}

/**
 * Data is sent and received under a limit in pieces of this size, so that the rate is even, not only right on
 * average.
 */
export const paceBytes = 32 * 1024;

export function newPaceState(bytesPerSecond: number): PaceState {
  return { bytesPerSecond, nextFree: new SharedArrayBuffer(8) };
}

/**
 * All threads that open the same state share its rate. Time is reserved in advance: a thread that ends while
 * it waits blocks no other.
 */
export function openPace({ bytesPerSecond, nextFree }: PaceState): Pace {
  const next = new BigInt64Array(nextFree);
  const reserve = (bytes: number): bigint => {
    const duration = BigInt(Math.ceil((bytes / bytesPerSecond) * 1e9));
    for (;;) {
      const before = Atomics.load(next, 0);
      const now = process.hrtime.bigint();
      const start = before > now ? before : now;
      if (Atomics.compareExchange(next, 0, before, start + duration) === before)
        return start + duration - now;
    }
  };
  return {
    async take(bytes, signal) {
      const waitMs = Number(reserve(bytes)) / 1e6;
      if (waitMs < 1) return;
      try {
        await sleep(waitMs, undefined, signal && { signal });
      } catch (error) {
        throw cancelled(error);
      }
    },
  };
}
