import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { syncAll, syncDirectory } from '../../lib/durable-file.ts';
import { folderIdentity } from '../../lib/folder-names.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { protectedError } from '../../model/volume-name.ts';
import { quote } from '../../model/quote.ts';
import { finishMigration, hasMigrationMark, trashedMark } from './marks.ts';
import { requireUnused } from './mount-volume.ts';
import { isBeingRenamed } from './rename-volume.ts';
import {
  deleteStorage,
  discard,
  mountedError,
  refuseMounts,
  refuseUnsaved,
  type TrashedFolder,
  type TrashedRecord,
  trashedRecord,
} from './trash.ts';
import { stateError, type VolumeFolders } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import { isPlain, requireRecord, storageOf, type VolumeState } from './volume-state.ts';

export interface RemoveVolumeOptions extends CallOptions {
  readonly permanent: boolean;
  /** How long it stays in the trash. */
  readonly keepMs: number;
  /** Files that have not reached its storage may be lost. */
  readonly losesUnsaved: boolean;
  /** Called when something was removed that is not on disk yet: it is waited for later. */
  readonly settleSoon: () => void;
}

export async function removeVolume(
  state: VolumeState,
  name: string,
  { permanent, keepMs, losesUnsaved, signal, settleSoon }: RemoveVolumeOptions,
): Promise<void> {
  requireRecord(state, { name, action: 'remove' });
  using lock = await lockVolumeFolder(state.folders.path(name), { name, action: 'remove', signal });
  if (lock !== undefined && hasMigrationMark(state.folders.path(name))) await finishMigration(state, name);
  const record = requireRecord(state, { name, action: 'remove' });
  if (state.catalog.volumes.isProtected(state.catalog.stateId(), name)) throw protectedError(name);
  if (lock === undefined && isBeingRenamed(state, name)) {
    throw new AppError('locked', `Cannot remove volume ${quote(name)}: it is being renamed`, {
      hint: 'Remove it under its new name.',
    });
  }
  // Its folder is gone: only the record is left.
  if (lock === undefined) return forget(state, name);
  const storage = await storageOf(state, record);
  await requireUnused(state, storage, { action: 'remove', signal });
  if (!losesUnsaved) await refuseUnsaved(storage, `Cannot remove volume ${quote(name)}`);
  if (permanent && isPlain(record)) {
    const folder = await moveOutOfTheWay(state.folders, name);
    forget(state, name);
    // The volume is gone from here on; the next start finishes what is left.
    if (folder !== undefined) await discard(folder, signal);
    return;
  }
  const trashed = trashedRecord(state, record, keepMs);
  if (!permanent && isPlain(record) && state.folders.settlingBoot !== undefined) {
    await removeSoon(state, record, trashed);
    settleSoon();
  } else await intoTrash(state, trashed, { permanent, signal });
}

/**
 * Moves it to the trash. One durable commit of the catalog decides; the folder moves afterwards, and reaches
 * the disk when the kernel writes it. The next start finishes what a kill or a power cut leaves. The volume's
 * lock is held.
 */
async function removeSoon(
  state: VolumeState,
  record: ManagedVolumeRecord,
  trashed: ManagedVolumeRecord,
): Promise<void> {
  const { catalog, folders } = state;
  const { name } = record;
  const entry = `${name}.${randomBytes(8).toString('hex')}`;
  const mark = JSON.stringify(trashed);
  const markPath = join(folders.path(name), trashedMark);
  const folder = folderIdentity(folders.path(name)) ?? '';
  const removal = { entry, name, folder, mark, boot: folders.settlingBoot ?? '' };
  // Another process was faster: this one throws the error for a missing volume.
  if (!catalog.unsettled.beginRemoval(removal)) requireRecord(state, { name, action: 'remove' });
  try {
    writeFileSync(markPath, mark, { mode: 0o600 });
    renameSync(folders.path(name), join(folders.trashDir, entry));
  } catch (error) {
    catalog.unsettled.cancelRemoval(entry, record);
    await removeTree(fromText(markPath));
    throw stateError(`Cannot remove volume "${name}"`, error);
  }
}

async function intoTrash(
  state: VolumeState,
  record: TrashedRecord,
  { permanent, signal }: CallOptions & { readonly permanent: boolean },
): Promise<void> {
  const { folders } = state;
  const path = join(folders.trashDir, `${record.name}.${randomBytes(8).toString('hex')}`);
  const mark = join(path, trashedMark);
  try {
    writeFileSync(join(folders.path(record.name), trashedMark), JSON.stringify(record), { mode: 0o600 });
    renameSync(folders.path(record.name), path);
    // Everything before the record is removed. If only the rename was durable, the next start takes it back.
    await syncAll([mark, path, folders.volumesDir, folders.trashDir]);
    forget(state, record.name);
    // The folder's lock moved along with it.
    if (permanent) await deleteStorage(await storageOf(state, record, path), signal);
  } catch (error) {
    throw stateError(`Cannot remove volume ${quote(record.name)}`, error);
  }
}

/**
 * Moves a volume's folder out of the way in one step. Undefined when there is none. `in-use` when something
 * is mounted in it.
 */
async function moveOutOfTheWay(folders: VolumeFolders, volume: string): Promise<TrashedFolder | undefined> {
  const from = folders.path(volume);
  const action = `Cannot remove volume "${volume}"`;
  await refuseMounts(from, action);
  const path = join(folders.trashDir, `${volume}.${randomBytes(8).toString('hex')}.removing`);
  try {
    await rename(from, path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'EBUSY') throw mountedError(action, from);
    throw stateError(action, error);
  }
  try {
    // A mount made since the look moved along, and would be emptied with the rest.
    await refuseMounts(path, action);
  } catch (error) {
    await rename(path, from);
    throw error;
  }
  await syncDirectory(folders.volumesDir);
  await syncDirectory(folders.trashDir);
  return { path, volume };
}

function forget({ catalog }: VolumeState, name: string): void {
  catalog.removeManagedVolume(name);
  for (const { id } of catalog.volumes.listHolds(name)) catalog.volumes.release(name, id);
}
