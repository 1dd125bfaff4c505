import { AppError } from '../../model/errors.ts';
import type {
  ByteRange,
  FileType,
  LoadOptions,
  Store,
  StoredFile,
  StoreOptions,
  StoreTimes,
} from './store.ts';

/** A store that is opened with its first call. */
export function lazyStore(location: string, open: () => Promise<Store>): Store {
  return new LazyStore(location, open);
}

class LazyStore implements Store {
  readonly location: string;
  readonly #open: () => Promise<Store>;
  #opened: Promise<Store> | undefined;

  constructor(location: string, open: () => Promise<Store>) {
    this.location = location;
    this.#open = open;
  }

  get direct(): Store {
    return lazyStore(this.location, async () => {
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
