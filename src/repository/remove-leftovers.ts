import type { Store, StoreOptions } from './stores/store.ts';

/**
 * Removes what killed writes have left; the caller holds a lock. A pack may be in the making for as long as its backup
 * takes, and on another machine nobody sees its process: while anybody else holds a lock, everything stays.
 */
export async function removeLeftovers(store: Store, options: StoreOptions): Promise<void> {
  if (store.removeLeftovers === undefined) return;
  if ((await store.list('locks', options)).length > 1) return;
  await store.removeLeftovers(options);
}
