import { renameSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Catalog, ManagedVolumeRecord } from '../../catalog/catalog.ts';
import type { CallOptions } from '../../hosts/host.ts';
import { syncAll, syncDirectory } from '../../lib/durable-file.ts';
import { deriveLineage } from '../../lib/lineage.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { checkOwnName, removedFromLabel } from '../../model/volume-name.ts';
import { hasMigrationMark, readRecordFile, trashedMark } from './marks.ts';
import { listTrashed, missingInTrash, type Trashed, type TrashedRecord } from './trash.ts';
import { stateError } from './volume-folders.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import type { VolumeState } from './volume-state.ts';

/** Restores a volume to its place, under its name or another. */
export async function restoreTrashed(
  state: VolumeState,
  { path, record }: Trashed,
  { to = record.name, signal }: CallOptions & { readonly to?: string | undefined },
): Promise<string> {
  const action = `Cannot restore volume ${quote(record.name)} from the trash`;
  checkOwnName(to);
  const { folders } = state;
  // A process that deletes it permanently destroys its keys first.
  using own = await lockVolumeFolder(path, { name: record.name, action: 'restore', signal });
  if (own === undefined) throw missingInTrash(record.name);
  await folders.createFolder(to);
  using _lock = await lockVolumeFolder(folders.path(to), { name: to, action: 'restore', signal });
  if (state.catalog.findManagedVolume(to) !== undefined) throw taken(action, to);
  try {
    // What is durable here needs no finishing: otherwise the next start would move it to the trash. That is
    // recorded durably before the folder moves.
    await syncAll([join(path, trashedMark), path, folders.volumesDir, folders.trashDir]);
    state.catalog.unsettled.endRemovals([basename(path)]);
    state.catalog.unsettled.sync();
    await rename(path, folders.path(to));
  } catch (error) {
    throw errnoOf(error) === 'ENOTEMPTY' ? taken(action, to) : stateError(action, error);
  }
  await syncDirectory(folders.trashDir);
  await finishRestore(state, to);
  return to;
}

/** The folder is back: the record follows. May be repeated; does nothing for any other folder. */
export async function finishRestore(state: VolumeState, name: string): Promise<void> {
  const mark = join(state.folders.path(name), trashedMark);
  const record = await readRecordFile<TrashedRecord>(mark);
  if (record === undefined) return;
  await syncDirectory(state.folders.volumesDir);
  const { driver, createdAt, labels, options, anonymous } = record;
  if (record.name !== name) {
    // Before its record, so that after a kill in between both are repeated.
    const inTrash = (await listTrashed(state)).map((other) => other.record.name);
    carryLineage(state.catalog, { record, to: name, inTrash });
  }
  state.catalog.addManagedVolume({ name, driver, createdAt, labels, options, anonymous });
  await rm(mark, { force: true });
}

function taken(action: string, to: string): AppError {
  return new AppError('exists', `${action}: the name ${quote(to)} is taken`, {
    hint: 'Choose another name with --to.',
  });
}

/** Puts back unmarked folders in the trash whose record remains and whose place is free. */
export async function takeBackUnmarked(state: VolumeState): Promise<void> {
  const { folders, catalog } = state;
  for (const entry of await readdir(folders.trashDir)) {
    const name = /^(.+)\.[0-9a-f]{16}$/.exec(entry)?.[1];
    if (name === undefined || catalog.findManagedVolume(name) === undefined) continue;
    const path = join(folders.trashDir, entry);
    if ((await readRecordFile(join(path, trashedMark))) !== undefined || hasMigrationMark(path)) continue;
    try {
      renameSync(path, folders.path(name));
      await rm(join(folders.path(name), trashedMark), { force: true });
      await syncAll([folders.volumesDir, folders.trashDir]);
    } catch (error) {
      // There is a volume of that name, and the catalog does not know this one.
      if (!['EEXIST', 'ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? ''))
        throw stateError(`Cannot put volume ${quote(name)} back`, error);
    }
  }
}

interface ComingBack {
  readonly record: Pick<ManagedVolumeRecord, 'name' | 'labels'> & { readonly removedAt: string };
  readonly to: string;
  /** Names of what is still in the trash. */
  readonly inTrash: readonly string[];
}

/**
 * A volume restored from the trash under another name keeps its snapshots, unless another volume has its
 * former name, or is in the trash with it: then their owner is unknown, and they stay with that name. The
 * next volume of that name is another one. May be repeated.
 */
function carryLineage(catalog: Catalog, { record, to, inTrash }: ComingBack): void {
  const { name: from, removedAt } = record;
  // Its snapshots are those of the engine's volume.
  if (removedFromLabel in record.labels) return;
  if (catalog.findManagedVolume(from) !== undefined || inTrash.includes(from)) return;
  const host = catalog.stateId();
  // Always the same for this removal: if it exists, all of this was done before a kill.
  const next = deriveLineage(host, `${from}\0after ${removedAt}`);
  const lineage = catalog.volumeIdentity(host, from) ?? deriveLineage(host, from);
  if (lineage === next) return;
  catalog.moveVolumeIdentity(host, { from, to, next });
}
