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

/** Back to where it was, under its name or another. */
export async function restoreTrashed(
  state: VolumeState,
  { path, record }: Trashed,
  { to = record.name, signal }: CallOptions & { readonly to?: string | undefined },
): Promise<string> {
  const action = `Cannot restore volume ${quote(record.name)} from the trash`;
  checkOwnName(to);
  const { folders } = state;
  // A process that deletes it for good destroys its keys first.
  using own = await lockVolumeFolder(path, { name: record.name, action: 'restore', signal });
  if (own === undefined) throw missingInTrash(record.name);
  await folders.createFolder(to);
  using _lock = await lockVolumeFolder(folders.path(to), { name: to, action: 'restore', signal });
  if (state.catalog.findManagedVolume(to) !== undefined) throw taken(action, to);
  try {
    // Of what lies here durably nothing is left to be finished: else the next start would take it for one that still has
    // to be moved to the trash. That is durable before the folder moves.
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

/** The folder is back: the record follows. May be repeated; nothing for a folder that is not on its way back. */
export async function finishRestore(state: VolumeState, name: string): Promise<void> {
  const mark = join(state.folders.path(name), trashedMark);
  const record = await readRecordFile<TrashedRecord>(mark);
  if (record === undefined) return;
  await syncDirectory(state.folders.volumesDir);
  const { driver, createdAt, labels, options, anonymous } = record;
  if (record.name !== name) {
    // Before its record: a kill in between repeats both.
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

/** Puts back what lies in the trash without a word of why, while its record stands and its place is free. */
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
      // There is a volume of that name, and the catalog knows nothing of this one.
      if (!['EEXIST', 'ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? ''))
        throw stateError(`Cannot put volume ${quote(name)} back`, error);
    }
  }
}

interface ComingBack {
  readonly record: Pick<ManagedVolumeRecord, 'name' | 'labels'> & { readonly removedAt: string };
  readonly to: string;
  /** Names of what is in the trash still. */
  readonly inTrash: readonly string[];
}

/**
 * A volume that comes back from the trash under another name goes on with its snapshots, unless another volume has its
 * former name, or is in the trash with it: then it is not known whose they are, and they stay with that name. What gets
 * that name next is another volume. May be repeated.
 */
function carryLineage(catalog: Catalog, { record, to, inTrash }: ComingBack): void {
  const { name: from, removedAt } = record;
  // Its snapshots are those of the engine's volume.
  if (removedFromLabel in record.labels) return;
  if (catalog.findManagedVolume(from) !== undefined || inTrash.includes(from)) return;
  const host = catalog.stateId();
  // Always the same for this removal: with it, all of this was done before a kill.
  const next = deriveLineage(host, `${from}\0after ${removedAt}`);
  const lineage = catalog.volumeIdentity(host, from) ?? deriveLineage(host, from);
  if (lineage === next) return;
  catalog.moveVolumeIdentity(host, { from, to, next });
}
