import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, isAppError } from '../../../model/errors.ts';
import type { RetryTuning } from '../address.ts';
import { cancelled, ServerFault } from '../store-errors.ts';
import type { ByteRange, FileType, LoadOptions, Store, StoredFile, StoreOptions } from '../store.ts';

export interface RetryOptions extends RetryTuning {
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly firstDelayMs?: number;
  /** Called for each failure that is retried. */
  readonly onRetry?: ((error: AppError, delayMs: number) => void) | undefined;
}

/**
 * Retries calls that fail with `unavailable`, with growing pauses, until the deadline. Missing, denied, full
 * or damaged would be the same the next time. The last failure is thrown unchanged.
 */
export function retryStore(store: Store, options: RetryOptions): Store {
  return new RetryStore(store, options);
}

const defaultFirstDelayMs = 500;
const maxDelayMs = 30_000;
/** Attempts in total when a server responds with a fault of its own. */
const faultAttempts = 4;

class RetryStore implements Store {
  readonly location: string;
  readonly removeLeftovers?: (options?: StoreOptions) => Promise<void>;
  readonly times?: NonNullable<Store['times']>;
  readonly #store: Store;
  readonly #options: RetryOptions;
  #hasAnswered = false;

  constructor(store: Store, options: RetryOptions) {
    this.location = store.location;
    this.#store = store;
    this.#options = options;
    // Not retried: it never fails, and the next call finds what this one missed.
    if (store.removeLeftovers)
      this.removeLeftovers = (given) => store.removeLeftovers?.(given) ?? Promise.resolve();
    const times = store.times?.bind(store);
    if (times) this.times = (type, name, given) => this.#persistently(() => times(type, name, given), given);
  }

  create(options?: StoreOptions): Promise<void> {
    return this.#persistently(() => this.#store.create(options), options);
  }

  save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void> {
    return this.#persistently(() => this.#store.save(type, name, content, options), options);
  }

  load(type: FileType, name: string, range?: ByteRange, options?: LoadOptions): Promise<Buffer> {
    return this.#persistently(() => this.#store.load(type, name, range, options), options);
  }

  list(type: FileType, options?: StoreOptions): Promise<StoredFile[]> {
    return this.#persistently(() => this.#store.list(type, options), options);
  }

  exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean> {
    return this.#persistently(() => this.#store.exists(type, name, options), options);
  }

  remove(type: FileType, name: string, options?: StoreOptions): Promise<void> {
    return this.#persistently(() => this.#store.remove(type, name, options), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]?.();
  }

  async #persistently<T>(work: () => Promise<T>, options: StoreOptions | undefined): Promise<T> {
    const started = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await work();
        this.#hasAnswered = true;
        return result;
      } catch (error) {
        if (!isAppError(error, 'unavailable')) {
          // A refusal is a response too.
          this.#hasAnswered = true;
          throw error;
        }
        const delayMs = this.#delayAfter(error, attempt, performance.now() - started);
        if (delayMs === undefined) throw error;
        this.#options.onRetry?.(error, delayMs);
        await pause(delayMs, options?.signal);
      }
    }
  }

  /** How long to wait before the next attempt; undefined for none. */
  #delayAfter(error: AppError, attempt: number, elapsedMs: number): number | undefined {
    if (error.cause instanceof ServerFault && attempt >= faultAttempts) return undefined;
    const {
      deadlineMs,
      firstDeadlineMs,
      random = Math.random,
      firstDelayMs = defaultFirstDelayMs,
    } = this.#options;
    const backoffMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt - 1, 16));
    // Jitter: calls that failed at the same moment must not all return at the same moment.
    const delayMs = backoffMs * (0.5 + random());
    const limitMs = this.#hasAnswered ? deadlineMs : firstDeadlineMs;
    return elapsedMs + delayMs > limitMs ? undefined : delayMs;
  }
}

async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal && { signal });
  } catch (error) {
    throw cancelled(error);
  }
}
