import { lstatSync } from 'node:fs';
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedVolumeRecord } from '../../catalog/catalog.ts';
import { syncDirectory } from '../../lib/durable-file.ts';
import { isAppError } from '../../model/errors.ts';
import { type VolumeState, storageOf } from './volume-state.ts';
import {
  finishMigration,
  hasMigrationMark,
  readMigrationMark,
  removeMigrationMark,
  trashedMark,
} from './marks.ts';
import { unmountStorage } from './mount-volume.ts';
import { clearOutside } from './outside-target.ts';
import { deleteStorage } from './trash.ts';
import { lockVolumeFolder } from './volume-lock.ts';

/** A folder without a mark may be one that is being made now. */
const settledMs = 60_000;

/**
 * Settles what killed migrations left: the volume is on its new storage, or what was made for it is removed.
 */
export async function settleMigrations(
  state: VolumeState,
  onWarning: ((message: string) => void) | undefined,
): Promise<void> {
  const { folders, catalog } = state;
  for (const { name } of catalog.listManagedVolumes()) {
    if (!hasMigrationMark(folders.path(name))) continue;
    using lock = await lockLeft(folders.path(name), name);
    if (lock === undefined || !hasMigrationMark(folders.path(name))) continue;
    await syncDirectory(folders.volumesDir);
    await finishMigration(state, name);
  }
  for (const entry of await readdir(folders.trashDir)) {
    if (!/\.[0-9a-f]{16}$/.test(entry)) continue;
    await settleStage(state, join(folders.trashDir, entry)).catch((error: unknown) => {
      // The next start tries again.
      if (!isAppError(error)) throw error;
      onWarning?.(`What an interrupted migration has left cannot be removed: ${error.message}`);
    });
  }
}

async function settleStage(state: VolumeState, path: string): Promise<void> {
  if (!hasMigrationMark(path)) return await removeUnmarked(path);
  using lock = await lockLeft(path, '');
  const mark = lock && (await readMigrationMark(path));
  if (mark === undefined) return;
  await giveUpStage(state, path, mark);
  // Killed just before the exchange. A running removal holds its lock.
  const live = state.folders.path(mark.name);
  using liveLock = await lockLeft(live, mark.name);
  if (liveLock !== undefined && state.catalog.findManagedVolume(mark.name) !== undefined)
    await rm(join(live, trashedMark), { force: true });
}

/**
 * The volume stays on its storage. What was in the trash before stays there; what was made for the migration
 * goes. The lock is held.
 */
export async function giveUpStage(
  state: VolumeState,
  path: string,
  record: ManagedVolumeRecord,
): Promise<void> {
  if (lstatSync(join(path, trashedMark), { throwIfNoEntry: false }) !== undefined)
    return await removeMigrationMark(path);
  const storage = await storageOf(state, record, path);
  await clearOutside(storage);
  await unmountStorage(storage, {});
  await deleteStorage(storage);
}

async function removeUnmarked(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  // Removes an empty directory only, and fails for any other.
  if (stat?.isDirectory() === true && Date.now() - stat.mtimeMs >= settledMs)
    await rmdir(path).catch(() => undefined);
}

/** Undefined for a folder that is gone, or that another process is working on, which finishes it. */
export async function lockLeft(path: string, name: string): Promise<Disposable | undefined> {
  return await lockVolumeFolder(path, { name, action: 'settle', waitMs: 0 }).catch(() => undefined);
}
