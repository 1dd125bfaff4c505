import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoredFile } from '../stores/store.ts';

/** Reads the headers of some packs. */
export interface HeaderTask {
  readonly packs: readonly StoredFile[];
}

export type HeaderResult =
  | { readonly packId: string; readonly blobs: readonly BlobPlace[] }
  | { readonly packId: string; readonly message: string };

export interface HeaderTaskResult {
  readonly headers: readonly HeaderResult[];
}
