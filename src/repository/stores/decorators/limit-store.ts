import { availableParallelism } from 'node:os';
import type { StoreTuning } from '../address.ts';
import { openPace } from '../pace.ts';
import { cancelled } from '../store-errors.ts';
import type { ByteRange, FileType, LoadOptions, Pace, Store, StoredFile, StoreOptions } from '../store.ts';

export interface StoreLimits {
  /** Concurrent requests of this thread. */
  readonly connections: number | undefined;
  readonly upload: Pace | undefined;
  readonly download: Pace | undefined;
}

/** The limits of one thread. All threads share the rates, and divide the requests among them. */
export function limitsOf({ connections, upload, download }: StoreTuning): StoreLimits | undefined {
  if (connections === undefined && upload === undefined && download === undefined) return undefined;
  const threads = Math.min(8, availableParallelism());
  return {
    connections: connections === undefined ? undefined : Math.max(1, Math.floor(connections / threads)),
    upload: upload && openPace(upload),
    download: download && openPace(download),
  };
}

/** Limits the rate of transfers and the number of concurrent requests. */
export function limitStore(store: Store, limits: StoreLimits): Store {
  return new LimitStore(store, limits);
}

class LimitStore implements Store {
  readonly location: string;
  readonly removeLeftovers?: (options?: StoreOptions) => Promise<void>;
  readonly times?: NonNullable<Store['times']>;
  readonly #store: Store;
  readonly #limits: StoreLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(store: Store, limits: StoreLimits) {
    this.location = store.location;
    this.#store = store;
    this.#limits = limits;
    if (store.removeLeftovers)
      this.removeLeftovers = (given) => store.removeLeftovers?.(given) ?? Promise.resolve();
    const times = store.times?.bind(store);
    if (times) this.times = (type, name, given) => this.#inTurn(() => times(type, name, given), given);
  }

  create(options?: StoreOptions): Promise<void> {
    return this.#inTurn(() => this.#store.create(options), options);
  }

  save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void> {
    const paced = { ...options, pace: this.#limits.upload };
    return this.#inTurn(() => this.#store.save(type, name, content, paced), options);
  }

  load(type: FileType, name: string, range?: ByteRange, options?: LoadOptions): Promise<Buffer> {
    const paced = { ...options, pace: this.#limits.download };
    return this.#inTurn(() => this.#store.load(type, name, range, paced), options);
  }

  list(type: FileType, options?: StoreOptions): Promise<StoredFile[]> {
    return this.#inTurn(() => this.#store.list(type, options), options);
  }

  exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean> {
    return this.#inTurn(() => this.#store.exists(type, name, options), options);
  }

  remove(type: FileType, name: string, options?: StoreOptions): Promise<void> {
    return this.#inTurn(() => this.#store.remove(type, name, options), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]?.();
  }

  async #inTurn<T>(work: () => Promise<T>, options: StoreOptions | undefined): Promise<T> {
    const { connections } = this.#limits;
    while (connections !== undefined && this.#running >= connections) await this.#turn(options?.signal);
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        reject(cancelled());
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      if (signal?.aborted) return reject(cancelled());
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(wake);
    });
  }
}
