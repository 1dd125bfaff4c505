import type { StoreAddress } from './address.ts';
import { lazyStore } from './lazy-store.ts';
import { openLocalStore } from './local.ts';
import type { Store } from './store.ts';

export type { StoreAddress } from './address.ts';

/** Opens a store at an address. It connects when it is first used; dispose of it to close what it opened. */
export function openStore(address: StoreAddress): Store {
  return address.kind === 'local'
    ? openLocalStore(address.directory)
    : lazyStore(address.text, () => load(address));
}

/** The one list of stores. Each is loaded when it is used: most commands need none of them. */
async function load(address: Exclude<StoreAddress, { kind: 'local' }>): Promise<Store> {
  switch (address.kind) {
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
