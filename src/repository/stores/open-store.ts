import type { StoreAddress } from './address.ts';
import { openLocalStore } from './local.ts';
import type { Store } from './store.ts';

export type { StoreAddress } from './address.ts';

/** The one list of stores. */
export function openStore(address: StoreAddress): Store {
  if (address.kind === 'local') return openLocalStore(address.directory);
  throw new Error('soon');
}
