import { AppError, isAppError } from '../../model/errors.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { loadSnapshot, saveSnapshot, type SnapshotJson, snapshotOf } from '../format/snapshot-file.ts';
import type { StoreOptions } from '../stores/store.ts';
import type { TagChange } from '../types.ts';
import type { SnapshotWork } from './remove-snapshots.ts';

/** Writes the record anew with other tags, and removes the old one when the new one is durable. */
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

/** In their order, each once. */
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
