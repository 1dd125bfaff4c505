import { AppError } from '../../model/errors.ts';
import type { StoreAddress, StoreTuning } from './address.ts';
import { openLocalStore } from './local.ts';
import type {
  ByteRange,
  FileType,
  LoadOptions,
  Store,
  StoredFile,
  StoreOptions,
  StoreTimes,
} from './store.ts';
import { limitsOf, limitStore } from './decorators/limit-store.ts';
import { retryStore } from './decorators/retry-store.ts';
import { cacheStore } from './decorators/cache-store.ts';

export type { StoreAddress } from './address.ts';

interface StoreHooks {
  /** Called for each failure that is retried. */
  readonly onRetry?: ((error: AppError) => void) | undefined;
}

/**
 * Opens a store at an address, with the decorators that its tuning asks for. It connects on first use;
 * dispose of it to close what it opened.
 */
export function openStore(address: StoreAddress, hooks: StoreHooks = {}): Store {
  if (address.kind === 'local' && !isTuned(address)) return openLocalStore(address.directory);
  const location = address.kind === 'local' ? address.directory : address.text;
  return new LazyStore(location, async () => decorate(await openPlain(address), address, hooks));
}

/**
 * The one list of stores. Each is loaded on use: every worker opens a store, and most need only the local
 * one.
 */
async function openPlain(address: StoreAddress): Promise<Store> {
  switch (address.kind) {
    case 'local':
      return openLocalStore(address.directory);
    case 's3':
      return (await import('./s3/s3-store.ts')).openS3Store(address);
    case 'rest':
      return (await import('./rest/rest-store.ts')).openRestStore(address);
    case 'rclone':
      return (await import('./rclone/rclone-process.ts')).openRcloneStore(address);
    case 'sftp':
      return (await import('./sftp/sftp-store.ts')).openSftpStore(address);
  }
}

/**
 * Limits are innermost, so that a call waiting to retry blocks no other; the cache is outermost, so that a
 * hit skips everything.
 */
function decorate(plain: Store, tuning: StoreTuning, { onRetry }: StoreHooks): Store {
  const limits = limitsOf(tuning);
  let store = limits === undefined ? plain : limitStore(plain, limits);
  if (tuning.retry) store = retryStore(store, { ...tuning.retry, onRetry });
  if (tuning.cache) store = cacheStore(store, tuning.cache);
  return store;
}

function isTuned({ connections, upload, download, retry, cache }: StoreTuning): boolean {
  return [connections, upload, download, retry, cache].some((value) => value !== undefined);
}

/** Opens the store with the first call. */
class LazyStore implements Store {
  readonly location: string;
  readonly #open: () => Promise<Store>;
  #opened: Promise<Store> | undefined;

  constructor(location: string, open: () => Promise<Store>) {
    this.location = location;
    this.#open = open;
  }

  get direct(): Store {
    return new LazyStore(this.location, async () => {
      const store = await this.#store();
      return store.direct ?? store;
    });
  }

  async create(options?: StoreOptions): Promise<void> {
    await (await this.#store()).create(options);
  }

  async save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void> {
    await (await this.#store()).save(type, name, content, options);
  }

  async load(type: FileType, name: string, range?: ByteRange, options?: LoadOptions): Promise<Buffer> {
    return await (await this.#store()).load(type, name, range, options);
  }

  async list(type: FileType, options?: StoreOptions): Promise<StoredFile[]> {
    return await (await this.#store()).list(type, options);
  }

  async exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean> {
    return await (await this.#store()).exists(type, name, options);
  }

  async remove(type: FileType, name: string, options?: StoreOptions): Promise<void> {
    await (await this.#store()).remove(type, name, options);
  }

  /** Every lazily opened store has `times`. */
  async times(type: FileType, name: string, options?: StoreOptions): Promise<StoreTimes> {
    const times = await (await this.#store()).times?.(type, name, options);
    if (times !== undefined) return times;
    throw new AppError('unsupported', `Repository "${this.location}" does not tell the time`);
  }

  async removeLeftovers(options?: StoreOptions): Promise<void> {
    await (await this.#store()).removeLeftovers?.(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    // A store that failed to open has nothing to close, and its error was already thrown.
    const store = await opened?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]?.();
  }

  #store(): Promise<Store> {
    return (this.#opened ??= this.#open());
  }
}
