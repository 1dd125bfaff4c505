import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { syncAll } from '../../lib/durable-file.ts';
import { syncFilesystemLater } from '../../lib/posix.ts';
import { AppError } from '../../model/errors.ts';
import type { UnsettledVolume } from '../../catalog/catalog.ts';
import { trashedMark } from './marks.ts';
import { stateError } from './volume-folders.ts';
import type { VolumeState } from './volume-state.ts';

/** Up to this many are synced one by one: a sync of the file system may wait for much data of others. */
const few = 32;

/**
 * Waits until all that any process has made and removed since the machine started is on disk, and records
 * that. What is not in the trash yet belongs to another process, or to the next start.
 */
export async function settleVolumes(state: VolumeState): Promise<void> {
  const { catalog, folders } = state;
  const boot = folders.settlingBoot;
  if (boot === undefined) return;
  const made = catalog.unsettled.list().filter((volume) => volume.boot === boot);
  const entries = catalog.unsettled
    .listRemovals()
    .filter((removal) => removal.boot === boot && existsSync(join(folders.trashDir, removal.entry)))
    .map(({ entry }) => entry);
  await settleMade(state, made, entries);
}

/** Waits until new directories, and entries of the trash, are on disk, and records that. */
export async function settleMade(
  { catalog, folders }: VolumeState,
  made: readonly UnsettledVolume[],
  entries: readonly string[] = [],
): Promise<void> {
  if (made.length + entries.length === 0) return;
  try {
    if (made.length + entries.length > few) await syncDisk(folders.volumesDir);
    else {
      const paths = [
        ...made.map(({ name }) => folders.path(name)),
        ...entries.map((entry) => join(folders.trashDir, entry)),
        ...entries.map((entry) => join(folders.trashDir, entry, trashedMark)),
      ];
      // What is gone by now needs no sync.
      await syncAll([folders.volumesDir, folders.trashDir, ...paths.filter((path) => existsSync(path))]);
    }
  } catch (error) {
    throw stateError('Cannot write down what was made and removed', error);
  }
  await inParts(made, (some) => catalog.unsettled.settle(some));
  await inParts(entries, (some) => catalog.unsettled.endRemovals(some));
}

/** In parts, so that no other request waits for thousands. */
async function inParts<T>(all: readonly T[], act: (some: readonly T[]) => void): Promise<void> {
  for (let first = 0; first < all.length; first += 500) {
    act(all.slice(first, first + 500));
    await setImmediate();
  }
}

/** Like `settleVolumes`, for one volume, before anything else is done with it. */
export async function settleVolume({ catalog, folders }: VolumeState, name: string): Promise<void> {
  const made = catalog.unsettled.find(name);
  if (made === undefined || made.boot !== folders.settlingBoot || !existsSync(folders.path(name))) return;
  await syncAll([folders.volumesDir, folders.path(name)]);
  catalog.unsettled.settle([made]);
}

async function syncDisk(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    if (await syncFilesystemLater(fd)) return;
  } finally {
    closeSync(fd);
  }
  throw new AppError('failed', `Cannot write down what lies on the disk of "${path}"`);
}
