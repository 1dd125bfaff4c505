import { lstat, rmdir } from 'node:fs/promises';
import type { Catalog } from '../../catalog/catalog.ts';
import { isAppError } from '../../model/errors.ts';
import { isVolumeName } from '../../model/volume-name.ts';
import { discard, listRemoving } from './trash.ts';
import type { VolumeFolders } from './volume-folders.ts';

/** A directory without a record may belong to a create that is running now. */
const settledMs = 60_000;

/**
 * Finishes removals and undoes creations that were interrupted. Safe while other processes work on the same state:
 *
 * - A folder in the trash: its removal was decided. A record that still stands is deleted if it has no folder, and the
 *   folder is deleted.
 * - A folder without a record, empty and not of this minute: a create that never came to its end.
 *
 * A folder without a record that holds data is left alone: nobody said that it may go.
 */
export async function finishInterrupted(folders: VolumeFolders, catalog: Catalog): Promise<void> {
  await finishRemovals(folders, catalog);
  await undoCreations(folders, catalog);
}

async function finishRemovals(folders: VolumeFolders, catalog: Catalog): Promise<void> {
  for (const trashed of await listRemoving(folders)) {
    const isGone = (await lstat(folders.path(trashed.volume)).catch(() => undefined)) === undefined;
    if (isGone && isVolumeName(trashed.volume)) catalog.removeEmbeddedVolume(trashed.volume);
    try {
      await discard(trashed, undefined);
    } catch (error) {
      // What cannot be deleted now does not keep anybody from their work; it is tried again at the next start.
      if (!isAppError(error)) throw error;
    }
  }
}

async function undoCreations(folders: VolumeFolders, catalog: Catalog): Promise<void> {
  const known = new Set(catalog.listEmbeddedVolumes().map((record) => record.name));
  for (const name of await folders.names()) {
    if (known.has(name)) continue;
    const stat = await lstat(folders.path(name)).catch(() => undefined);
    if (stat?.isDirectory() !== true || Date.now() - stat.mtimeMs < settledMs) continue;
    // Removes empty directories only, and fails on all others.
    await rmdir(folders.dataPath(name)).catch(() => undefined);
    await rmdir(folders.path(name)).catch(() => undefined);
  }
}
