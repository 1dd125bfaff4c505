import type { CacheTuning } from '../address.ts';
import { isFileName } from '../layout.ts';
import { throwIfAborted } from '../store-errors.ts';
import type { ByteRange, FileType, LoadOptions, Store, StoredFile, StoreOptions } from '../store.ts';
import { CacheFolder, type CachedType } from './cache-folder.ts';

/**
 * Keeps copies of indexes, snapshots and packs of trees in a local folder: every backup and every listing
 * reads them again. Lists always come from the store, so a copy is used only while the file is still stored.
 */
export function cacheStore(store: Store, tuning: CacheTuning): Store {
  return new CacheStore(store, tuning);
}

class CacheStore implements Store {
  readonly location: string;
  readonly direct: Store;
  readonly removeLeftovers?: (options?: StoreOptions) => Promise<void>;
  readonly times?: NonNullable<Store['times']>;
  readonly #store: Store;
  readonly #folder: CacheFolder;
  readonly #fetching = new Map<string, Promise<Buffer>>();

  constructor(store: Store, tuning: CacheTuning) {
    this.location = store.location;
    this.direct = store;
    this.#store = store;
    this.#folder = new CacheFolder(tuning);
    if (store.removeLeftovers)
      this.removeLeftovers = (given) => store.removeLeftovers?.(given) ?? Promise.resolve();
    if (store.times) this.times = store.times.bind(store);
  }

  async create(options?: StoreOptions): Promise<void> {
    await this.#store.create(options);
  }

  async save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void> {
    await this.#store.save(type, name, content, options);
    if (isKept(type, options) && isFileName(name)) await this.#folder.put(type, name, content);
  }

  async load(type: FileType, name: string, range?: ByteRange, options: LoadOptions = {}): Promise<Buffer> {
    throwIfAborted(options.signal);
    if (!isKept(type, options) || !isFileName(name))
      return await this.#store.load(type, name, range, options);
    if (range) return await this.#loadRange(type, name, { range, options });
    const copy = await this.#folder.read(type, name);
    if (copy) return copy;
    const content = await this.#store.load(type, name, undefined, options);
    await this.#folder.put(type, name, content);
    return content;
  }

  async list(type: FileType, options?: StoreOptions): Promise<StoredFile[]> {
    const files = await this.#store.list(type, options);
    if (type === 'index' || type === 'snapshots')
      await this.#folder.keepOnly(type, new Set(files.map(({ name }) => name)));
    return files;
  }

  async exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean> {
    return await this.#store.exists(type, name, options);
  }

  async remove(type: FileType, name: string, options?: StoreOptions): Promise<void> {
    await this.#store.remove(type, name, options);
    if ((type === 'index' || type === 'snapshots' || type === 'data') && isFileName(name))
      await this.#folder.remove(type, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]?.();
  }

  /** The first wanted range of a pack fetches the whole pack, since more ranges will follow. */
  async #loadRange(
    type: CachedType,
    name: string,
    { range, options }: { readonly range: ByteRange; readonly options: LoadOptions },
  ): Promise<Buffer> {
    const known = this.#folder.readRange(type, name, range);
    if (known) return known;
    if (await this.#folder.prove(type, name)) {
      const copy = this.#folder.readRange(type, name, range);
      if (copy) return copy;
    }
    const content = await this.#fetch(type, name, options);
    const end = range.offset + range.length;
    // A pack that is too short is damaged; the store reports it in its own words.
    if (content.length < end) return await this.#store.load(type, name, range, options);
    return Buffer.from(content.subarray(range.offset, end));
  }

  /** Concurrent requests for ranges of one pack share one download. */
  async #fetch(type: CachedType, name: string, { signal }: LoadOptions): Promise<Buffer> {
    const label = `${type}/${name}`;
    const running = this.#fetching.get(label);
    if (running) return await running;
    const fetching = (async () => {
      const content = await this.#store.load(type, name, undefined, { signal });
      await this.#folder.put(type, name, content);
      return content;
    })();
    this.#fetching.set(label, fetching);
    try {
      return await fetching;
    } finally {
      this.#fetching.delete(label);
    }
  }
}

function isKept(type: FileType, options: StoreOptions | undefined): type is CachedType {
  return type === 'index' || type === 'snapshots' || (type === 'data' && options?.holds === 'trees');
}
