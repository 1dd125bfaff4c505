import type { RcloneAddress } from '../address.ts';
import { RestStore } from '../rest/rest-store.ts';
import type { Store } from '../store.ts';
import { RcloneProcess } from './rclone-process.ts';

/** A repository on any storage that rclone knows, over the protocol that rclone has for restic. */
export function openRcloneStore(address: RcloneAddress): Store {
  return new RestStore(new RcloneProcess(address), { location: address.text, root: '/', headers: {} });
}
