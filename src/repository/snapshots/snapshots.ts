import { fromText } from '../../model/byte-string.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { FileCodec } from '../format/repository-file.ts';
import {
  describedAgain,
  loadSnapshot,
  saveSnapshot,
  type SnapshotJson,
  snapshotOf,
} from '../format/snapshot-file.ts';
import type { RepositoryLock } from '../lock.ts';
import { BlobReader } from '../read/blob-reader.ts';
import { readDescription } from '../read/find-in-snapshot.ts';
import type { ListOptions } from '../requests.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { RemoveSnapshotsOptions, TagChange } from '../types.ts';

interface SnapshotRecords {
  readonly codec: FileCodec;
  /** The current index: an older one may lack the blobs of a new snapshot. */
  readonly currentIndex: () => Promise<BlobIndex>;
}

/** Oldest first. A snapshot with a damaged record is left out, and reported. */
export async function listSnapshots(
  { codec, currentIndex }: SnapshotRecords,
  options: ListOptions,
): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  // Loaded once for all snapshots, and only when one needs it.
  let index: Promise<BlobIndex> | undefined;
  const records = { codec, currentIndex: () => (index ??= currentIndex()) };
  for (const { name, modifiedMs } of await codec.store.list('snapshots', options)) {
    try {
      const json = await loadSnapshot(codec, name, options);
      snapshots.push(snapshotOf(name, await withDescription(records, json)));
      if (modifiedMs !== undefined) options.onStored?.(name, modifiedMs);
    } catch (error) {
      if (isAppError(error, 'integrity')) options.onDamaged?.(name, error);
      // Otherwise another process removed it after the listing.
      else if (!isAppError(error, 'not-found')) throw error;
    }
  }
  return snapshots.sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.id < b.id ? -1 : 1));
}

/** A program that rewrites a snapshot, as "restic tag" does, drops our field; the tree has a copy. */
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

interface SnapshotWork {
  readonly codec: FileCodec;
  readonly lock: Pick<RepositoryLock, 'assertHeld'>;
}

/** Removes snapshot records, unless one of `staying` no longer exists. */
export async function removeSnapshots(
  { codec, lock }: SnapshotWork,
  ids: readonly string[],
  { staying = [], signal, onProgress }: RemoveSnapshotsOptions,
): Promise<void> {
  const there = new Set((await codec.store.list('snapshots', { signal })).map(({ name }) => name));
  const gone = staying.find((id) => !there.has(id));
  if (gone !== undefined) {
    throw new AppError('conflict', `Snapshot "${gone.slice(0, 8)}", which was to stay, is gone`, {
      detail: 'Another program removed it meanwhile. Nothing was removed here.',
      hint: 'Run the command again: it looks at what there is now.',
    });
  }
  const removed = ids.filter((id) => there.has(id));
  for (const [done, id] of removed.entries()) {
    if (signal?.aborted) throw new AppError('cancelled', 'The work was stopped');
    await lock.assertHeld();
    await codec.store.remove('snapshots', id, { signal });
    onProgress?.({
      phase: 'removing snapshots',
      filesDone: done + 1,
      filesTotal: removed.length,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}

/** Writes the record with other tags, and removes the old one when the new one is durable. */
export async function changeTags(
  { codec, lock }: SnapshotWork,
  { id, change }: { readonly id: string; readonly change: TagChange },
  options: StoreOptions,
): Promise<Snapshot> {
  const before = await load(codec, id, options);
  const tags = tagsAfter(before.tags ?? [], change);
  if (tags.join('\0') === (before.tags ?? []).join('\0')) return snapshotOf(id, before);
  const { tags: _, ...rest } = before;
  const after: SnapshotJson = { ...rest, ...(tags.length > 0 && { tags }), original: before.original ?? id };
  await lock.assertHeld();
  const newId = await saveSnapshot(codec, after, options);
  await lock.assertHeld();
  await codec.store.remove('snapshots', id, options);
  return snapshotOf(newId, after);
}

/** In their order, without repetitions. */
function tagsAfter(before: readonly string[], { set, add, remove }: TagChange): string[] {
  const tags = new Set(set ?? before);
  for (const tag of add) tags.add(tag);
  for (const tag of remove) tags.delete(tag);
  return [...tags];
}

async function load(codec: FileCodec, id: string, options: StoreOptions): Promise<SnapshotJson> {
  try {
    return await loadSnapshot(codec, id, options);
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('not-found', `There is no snapshot "${id.slice(0, 8)}" any more`, { cause: error });
  }
}
