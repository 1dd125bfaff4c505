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
  /** Told of each failure that is followed by another attempt. */
  readonly onRetry?: ((error: AppError) => void) | undefined;
}

/**
 * Opens a store at an address, with everything that its tuning asks for. It connects when it is first used; dispose of
 * it to close what it opened.
 */
export function openStore(address: StoreAddress, hooks: StoreHooks = {}): Store {
  if (address.kind === 'local' && !isTuned(address)) return openLocalStore(address.directory);
  const location = address.kind === 'local' ? address.directory : address.text;
  return new LazyStore(location, async () => decorate(await openPlain(address), address, hooks));
}

/** The one list of stores. Each is loaded when it is used: every worker opens one, and most need the local one only. */
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

/** Limits inside, so that a call that waits for its next try holds up no other; the cache outside, so that it spares all of it. */
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

/** A store that is opened with its first call. */
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

  /** Every store that is opened lazily tells the time at least. */
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
    // One that could not be opened has nothing to close, and has told why already.
    const store = await opened?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]?.();
  }

  #store(): Promise<Store> {
    return (this.#opened ??= this.#open());
  }
}
