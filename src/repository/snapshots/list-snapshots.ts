import { fromText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { describedAgain, loadSnapshot, type SnapshotJson, snapshotOf } from '../format/snapshot-file.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { readDescription } from '../read/read-description.ts';
import type { ListOptions } from './snapshot-types.ts';

export interface SnapshotRecords {
  readonly codec: FileCodec;
  /** As it is now: what was known before may not have the blobs of a new snapshot. */
  readonly currentIndex: () => Promise<BlobIndex>;
}

/** Oldest first. One whose record is damaged is left out, and told. */
export async function listSnapshots(
  { codec, currentIndex }: SnapshotRecords,
  options: ListOptions,
): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  // Looked at once for all of them, and only where one needs it.
  let index: Promise<BlobIndex> | undefined;
  const records = { codec, currentIndex: () => (index ??= currentIndex()) };
  for (const { name, modifiedMs } of await codec.store.list('snapshots', options)) {
    try {
      const json = await loadSnapshot(codec, name, options);
      snapshots.push(snapshotOf(name, await withDescription(records, json)));
      if (modifiedMs !== undefined) options.onStored?.(name, modifiedMs);
    } catch (error) {
      if (isAppError(error, 'integrity')) options.onDamaged?.(name, error);
      // Else it was removed by another process since the listing.
      else if (!isAppError(error, 'not-found')) throw error;
    }
  }
  return snapshots.sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.id < b.id ? -1 : 1));
}

/** A program that rewrites a snapshot, as "restic tag" does, drops the field that is ours; the tree has a copy of it. */
async function withDescription(
  { codec, currentIndex }: SnapshotRecords,
  json: SnapshotJson,
): Promise<SnapshotJson> {
  const [path = '', ...others] = json.paths;
  if (json.holdfast !== undefined || others.length > 0 || !path.startsWith('/volume/')) return json;
  const reader = new BlobReader(codec, await currentIndex());
  const volume = await readDescription(reader, json.tree, fromText(path.slice('/volume/'.length)));
  return volume ? { ...json, holdfast: describedAgain(path, volume) } : json;
}
