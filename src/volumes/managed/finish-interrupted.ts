import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { printableField } from '../../model/quote.ts';
import { isVolumeName } from '../../model/volume-name.ts';
import { creatingMark, isMarked, readCreatingMark, undoCreate } from './create-volume.ts';
import { type VolumeState, storageOf } from './volume-state.ts';
import { finishUnsettled, orLater } from './finish-unsettled.ts';
import { finishRename, isBeingRenamed } from './rename-volume.ts';
import { lockLeft, settleMigrations } from './settle-migrations.ts';
import { finishRestore, takeBackUnmarked } from './restore-trashed.ts';
import { deleteTrashed, discard, listRemoving, listTrashed } from './trash.ts';

type OnWarning = ((message: string) => void) | undefined;

/** A directory without a record may belong to a create that is running now. */
const settledMs = 60_000;

/**
 * Finishes interrupted renames, removals and restores from the trash, and undoes creations. Safe while other
 * processes work on the same state:
 *
 * - A rename that was begun: if the folder has its new name, the record gets it too; otherwise nothing has
 *   happened.
 * - A migration: before its exchange of folders, what was made for it goes; after it, the record follows.
 * - A folder in the trash: its removal was decided. A remaining record is deleted if it has no folder, and
 *   the folder is deleted if the removal was permanent.
 * - A folder in the trash without a readable mark, whose record remains: the machine went down before its
 *   removal was durable. It goes back.
 * - A folder without a record that came from the trash: its record is made.
 * - A folder without a record that is empty and not recent, or that has the mark of a driver's work that no
 *   process does: an unfinished create.
 *
 * A folder without a record that holds data is left alone and reported: no request allows its removal, and a
 * user who lost the catalog has to know which data no backup of everything saves.
 */
export async function finishInterrupted(state: VolumeState, onWarning: OnWarning): Promise<void> {
  await finishUnsettled(state);
  await finishRenames(state);
  await settleMigrations(state, onWarning);
  await finishRemovals(state);
  await undoCreations(state, onWarning);
}

async function finishRenames(state: VolumeState): Promise<void> {
  const { catalog, folders } = state;
  for (const { from, to } of catalog.volumes.listRenames()) {
    const isDone = !(await isThere(folders.path(from))) && (await isThere(folders.path(to)));
    const at = folders.path(isDone ? to : from);
    using lock = await lockLeft(at, from);
    // A running rename holds the lock. One that has ended needs nothing, and both names may be others' now.
    const isOpen = catalog.volumes.listRenames().some((one) => one.from === from && one.to === to);
    if (lock === undefined || !isOpen) continue;
    if (isDone) await finishRename(state, from);
    else catalog.volumes.cancelRename(from);
  }
}

async function finishRemovals(state: VolumeState): Promise<void> {
  const { folders, catalog } = state;
  // A trash may hold thousands, and hardly ever one whose record still stands.
  const known = new Map(catalog.listManagedVolumes().map((record) => [record.name, record]));
  const forgetGone = async (name: string, createdAt?: string): Promise<void> => {
    const record = known.get(name);
    if (record === undefined || !isVolumeName(name) || (await isThere(folders.path(name)))) return;
    // An earlier volume of that name says nothing about this one, whose disk may be away.
    if (createdAt !== undefined && createdAt !== record.createdAt) return;
    // A running rename may have taken another volume's folder, whose record follows. Another program may have
    // made a volume of that name meanwhile.
    if (!isBeingRenamed(state, name)) catalog.unsettled.removeMissing(record, folders.settlingBoot);
  };
  for (const folder of await listRemoving(folders)) {
    await forgetGone(folder.volume);
    await orLater(() => discard(folder, undefined));
  }
  await orLater(() => takeBackUnmarked(state));
  for (const trashed of await listTrashed(state)) {
    await forgetGone(trashed.record.name, trashed.record.createdAt);
    const { removedAt, expiresAt } = trashed.record;
    if (removedAt === expiresAt) await orLater(() => deleteTrashed(state, trashed, undefined));
  }
}

async function undoCreations(state: VolumeState, onWarning: OnWarning): Promise<void> {
  const { folders, catalog } = state;
  const records = catalog.listManagedVolumes();
  const known = new Set(records.map((record) => record.name));
  for (const record of records) if (isMarked(record)) await dropCreatingMark(state, record.name);
  for (const name of await folders.names()) {
    if (known.has(name)) continue;
    const stat = await lstat(folders.path(name)).catch(() => undefined);
    if (stat?.isDirectory() !== true) continue;
    await orLater(() => settleLeft(state, name, { isOld: Date.now() - stat.mtimeMs >= settledMs }));
    await orLater(() => tellOfStray(state, name, onWarning));
  }
}

/**
 * Left by a kill after the record was made. If the catalog were lost, the mark would make the data look like
 * an unfinished create.
 */
async function dropCreatingMark({ catalog, folders }: VolumeState, name: string): Promise<void> {
  const mark = join(folders.path(name), creatingMark);
  if (!(await isThere(mark))) return;
  using lock = await lockLeft(folders.path(name), name);
  // If it was removed since, it may be in the making again.
  if (lock !== undefined && catalog.findManagedVolume(name) !== undefined) await rm(mark, { force: true });
}

async function tellOfStray(state: VolumeState, name: string, onWarning: OnWarning): Promise<void> {
  const { folders, catalog } = state;
  // For example "lost+found".
  if (!isVolumeName(name)) return;
  const stat = await lstat(folders.path(name)).catch(() => undefined);
  if (stat?.isDirectory() !== true || Date.now() - stat.mtimeMs < settledMs) return;
  using lock = await lockLeft(folders.path(name), name);
  if (lock === undefined || catalog.findManagedVolume(name) !== undefined) return;
  onWarning?.(
    `The folder "${printableField(folders.path(name))}" holds data of a volume that the catalog does not know, as after a loss of the catalog: no command shows it and no backup saves it. Move it elsewhere, make the volume again, and copy the data back with "holdfast volume cp".`,
  );
}

/**
 * The folder may belong to a volume that is being renamed or restored from the trash now, whose record
 * follows. So nothing in it is touched without its lock, and without another look at the record under the
 * lock.
 */
async function settleLeft(
  state: VolumeState,
  name: string,
  { isOld }: { readonly isOld: boolean },
): Promise<void> {
  const { folders, catalog } = state;
  const isOthers = (): boolean =>
    catalog.findManagedVolume(name) !== undefined || isBeingRenamed(state, name);
  using lock = await lockLeft(folders.path(name), name);
  if (lock === undefined || isOthers()) return;
  await finishRestore(state, name);
  if (isOthers()) return;
  const left = await readCreatingMark(folders.path(name));
  if (left !== undefined) return await undoCreate(await storageOf(state, { ...left, name }));
  const isEmpty = (await readdir(folders.path(name))).every((entry) => entry === '_data');
  if (!isOld || !isEmpty) return;
  // Removes an empty directory only, and fails for any other.
  await rmdir(folders.dataPath(name)).catch(() => undefined);
  await rmdir(folders.path(name)).catch(() => undefined);
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
