import { openLocalStore } from './local.ts';
import type { Store } from './store.ts';

/** How to open a store, as plain data that goes to worker threads. */
export interface StoreAddress {
  readonly kind: 'local';
  readonly directory: string;
}

/** The one list of stores. */
export function openStore(address: StoreAddress): Store {
  return openLocalStore(address.directory);
}
