import { lstatSync, mkdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnsettledMemory, UnsettledVolume } from '../../catalog/catalog.ts';
import { syncAll, writeDurably } from '../../lib/durable-file.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { VolumeState } from './volume-state.ts';
import { readRecordFile, trashedMark } from './marks.ts';
import { settleMade } from './settle-volumes.ts';
import { folderIdentity } from '../../lib/folder-names.ts';
import { stateError } from './volume-folders.ts';
import type { TrashedRecord } from './trash.ts';
import { lockVolumeFolder } from './volume-lock.ts';

type Removal = ReturnType<UnsettledMemory['listRemovals']>[number];

/**
 * Finishes what was decided before a kill or a power cut, and was not on disk yet. Removals first, because a
 * volume's name may still have the folder of the removed one before it.
 *
 * - A removal whose folder is still in the volume's place: moves it to the trash.
 * - A removal whose folder is in the trash: writes its mark again.
 * - A volume of before the machine went down whose directories are missing: none of its contents had reached
 *   the disk, so they are made again, empty. A settled volume never gets an empty folder.
 *
 * Does nothing where the volumes do not lie beside the catalog: their disk may not be mounted.
 */
export async function finishUnsettled(state: VolumeState): Promise<void> {
  const { catalog, folders } = state;
  if (folders.settlingBoot === undefined) return;
  const occupied = new Set<string>();
  for (const removal of catalog.unsettled.listRemovals()) {
    await orLater(() => finishRemoval(state, removal));
    if (isInPlace(state, removal)) occupied.add(removal.name);
  }
  const left = catalog.unsettled.list().filter(({ boot }) => boot !== folders.settlingBoot);
  await makeAgain(
    state,
    left.filter(({ name }) => !occupied.has(name)),
  );
}

async function finishRemoval(state: VolumeState, removal: Removal): Promise<void> {
  const { folders, catalog } = state;
  const { entry, name, boot, madeIn } = removal;
  const path = join(folders.trashDir, entry);
  if (isInPlace(state, removal)) {
    // A process at work on it holds the lock, which moves along with the folder.
    using lock = await lockVolumeFolder(folders.path(name), { name, action: 'settle', waitMs: 0 });
    if (lock !== undefined && (await moveRemoved(state, name))) return;
  }
  if (boot === folders.settlingBoot) {
    // In the trash, it settles later. In neither place, it was deleted.
    if (!isThere(path) && isPending(state, removal)) catalog.unsettled.endRemovals([entry]);
    return;
  }
  if (!isThere(path) && madeIn === undefined) return catalog.unsettled.endRemovals([entry]);
  try {
    // It was made and removed before either was on disk.
    if (madeIn !== undefined) makeDirectories(path, name);
    if ((await readRecordFile(join(path, trashedMark))) === undefined)
      await writeDurably(join(path, trashedMark), removal.mark);
    await syncAll([path, folders.trashDir]);
  } catch (error) {
    // For example a full disk: the trash can still be emptied.
    throw stateError(`Cannot write down that volume ${quote(name)} was removed`, error);
  }
  catalog.unsettled.endRemovals([entry]);
}

/** Moves a removed volume from its place into the trash. False when there is none. The lock is held. */
export async function moveRemoved(state: VolumeState, name: string): Promise<boolean> {
  const { folders, catalog } = state;
  const removal = removalInPlace(state, name);
  if (removal === undefined) return false;
  const path = join(folders.trashDir, removal.entry);
  const wasMadeBefore = removal.madeIn !== undefined && removal.madeIn !== folders.settlingBoot;
  try {
    if (wasMadeBefore) makeDirectories(folders.path(name), name);
    await writeDurably(join(folders.path(name), trashedMark), removal.mark);
    await rename(folders.path(name), path);
    await syncAll([folders.volumesDir, folders.trashDir]);
  } catch (error) {
    throw stateError(`Cannot remove volume ${quote(name)}`, error);
  }
  catalog.unsettled.endRemovals([removal.entry]);
  return true;
}

/** There may be thousands, so all are made, then waited for once. */
async function makeAgain(state: VolumeState, left: readonly UnsettledVolume[]): Promise<void> {
  const { folders } = state;
  const made: UnsettledVolume[] = [];
  for (const one of left)
    await orLater(async () => {
      makeDirectories(folders.path(one.name), one.name);
      made.push(one);
    });
  await orLater(() => settleMade(state, made));
}

/** Leaves existing ones as they are. */
function makeDirectories(folder: string, name: string): void {
  for (const [path, mode] of [
    [folder, 0o711],
    [join(folder, '_data'), 0o755],
  ] as const) {
    try {
      mkdirSync(path, { mode });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw stateError(`Cannot make volume ${quote(name)} again`, error);
    }
  }
}

function isInPlace(state: VolumeState, { name, entry }: Removal): boolean {
  return removalInPlace(state, name)?.entry === entry;
}

/**
 * The removal whose folder is still in the volume's place. There may be several of that name, and a volume
 * that has it now; the folder's identity tells which. In a copied state folder, where identities mean
 * nothing, the folder belongs to the first removal, if no volume has the name.
 */
function removalInPlace({ folders, catalog }: VolumeState, name: string): Removal | undefined {
  const found = folderIdentity(folders.path(name));
  if (found === undefined) return undefined;
  const waiting = catalog.unsettled
    .listRemovals(name)
    .filter(({ entry }) => !isThere(join(folders.trashDir, entry)));
  const own = waiting.find(({ folder }) => folder === found);
  if (own !== undefined || catalog.findManagedVolume(name) !== undefined) return own;
  return waiting.toSorted((left, right) => (removedAt(left) < removedAt(right) ? -1 : 1))[0];
}

function removedAt({ mark }: Removal): string {
  return (JSON.parse(mark) as TrashedRecord).removedAt;
}

function isPending({ catalog }: VolumeState, { name, entry }: Removal): boolean {
  return catalog.unsettled.listRemovals(name).some((one) => one.entry === entry);
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What cannot be finished now stops no other work; the next start tries again. */
export async function orLater(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isAppError(error)) throw error;
  }
}
