import { toPrintable } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { SnapshotEntry, WorkOptions } from '../types.ts';
import type { BlobReader } from './blob-reader.ts';

export interface EntryOfSnapshot {
  readonly snapshot: Snapshot;
  readonly entry: SnapshotEntry;
}

/** The bytes of a file, verified; holes as zeros. */
export async function* readEntry(
  reader: BlobReader,
  { snapshot, entry }: EntryOfSnapshot,
  options: WorkOptions,
): AsyncGenerator<Uint8Array> {
  if (entry.type !== 'file')
    throw new AppError(
      'usage',
      `"${toPrintable(entry.path)}" in snapshot "${snapshot.id.slice(0, 8)}" is no file`,
    );
  // The key is the ids of its blobs, 64 hex digits each.
  for (let at = 0; at < entry.contentKey.length; at += 64)
    yield await reader.read(entry.contentKey.slice(at, at + 64), 'data', options);
}
