import type { AppError } from '../../model/errors.ts';
import type { StoreAddress, StoreTuning } from './address.ts';
import { lazyStore } from './lazy-store.ts';
import { openLocalStore } from './local.ts';
import type { Store } from './store.ts';

export type { StoreAddress } from './address.ts';

export interface StoreHooks {
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
  return lazyStore(location, async () => await decorate(await openPlain(address), address, hooks));
}

/** The one list of stores. Each is loaded when it is used: most commands need none but the local one. */
async function openPlain(address: StoreAddress): Promise<Store> {
  switch (address.kind) {
    case 'local':
      return openLocalStore(address.directory);
    case 's3':
      return (await import('./s3/s3-store.ts')).openS3Store(address);
    case 'rest':
      return (await import('./rest/rest-store.ts')).openRestStore(address);
    case 'rclone':
      return (await import('./rclone/open-rclone-store.ts')).openRcloneStore(address);
    case 'sftp':
      return (await import('./sftp/sftp-store.ts')).openSftpStore(address);
  }
}

/** Limits inside, so that who waits to try again holds up nobody; the cache outside, so that it spares all of it. */
async function decorate(plain: Store, tuning: StoreTuning, { onRetry }: StoreHooks): Promise<Store> {
  const { limitsOf, limitStore } = await import('./decorators/limit-store.ts');
  const limits = limitsOf(tuning);
  let store = limits === undefined ? plain : limitStore(plain, limits);
  if (tuning.retry) {
    const { retryStore } = await import('./decorators/retry-store.ts');
    store = retryStore(store, { ...tuning.retry, onRetry });
  }
  if (tuning.cache) store = (await import('./decorators/cache-store.ts')).cacheStore(store, tuning.cache);
  return store;
}

function isTuned({ connections, upload, download, retry, cache }: StoreTuning): boolean {
  return [connections, upload, download, retry, cache].some((value) => value !== undefined);
}
