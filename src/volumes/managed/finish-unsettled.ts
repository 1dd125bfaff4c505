import { lstatSync, mkdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnsettledMemory, UnsettledVolume } from '../../catalog/catalog.ts';
import { writeDurably } from '../../lib/durable-file.ts';
import { errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { EmbeddedParts } from './embedded-parts.ts';
import { orLater } from './or-later.ts';
import { readRecordFile, trashedMark } from './record-file.ts';
import { settleMade } from './settle-volumes.ts';
import { syncAll } from './sync-all.ts';
import { folderIdentity } from '../../lib/folder-identity.ts';
import { stateError } from './volume-folders.ts';
import type { TrashedRecord } from './volume-trash.ts';
import { lockVolumeFolder } from './volume-lock.ts';

type Parts = Pick<EmbeddedParts, 'catalog' | 'folders'>;
type Removal = ReturnType<UnsettledMemory['listRemovals']>[number];

/**
 * Finishes what was decided before a kill or a power cut, and was not on the disk. Removals first: what lies under a
 * volume's name may be the one before it, which is removed.
 *
 * - A removal whose folder is still in the volume's place: it goes into the trash.
 * - A removal whose folder is in the trash: what says why is written again.
 * - A volume of before the machine went down whose directories are not there: nothing in them was on the disk, so they
 *   are made again, empty. A volume that was settled is never given an empty folder.
 *
 * Nothing where the volumes do not lie beside the catalog: the disk that they are on may not be mounted.
 */
export async function finishUnsettled(parts: Parts): Promise<void> {
  const { catalog, folders } = parts;
  if (folders.settlingBoot === undefined) return;
  const occupied = new Set<string>();
  for (const removal of catalog.unsettled.listRemovals()) {
    await orLater(() => finishRemoval(parts, removal));
    if (isInPlace(parts, removal)) occupied.add(removal.name);
  }
  const left = catalog.unsettled.list().filter(({ boot }) => boot !== folders.settlingBoot);
  await makeAgain(
    parts,
    left.filter(({ name }) => !occupied.has(name)),
  );
}

async function finishRemoval(parts: Parts, removal: Removal): Promise<void> {
  const { folders, catalog } = parts;
  const { entry, name, boot, madeIn } = removal;
  const path = join(folders.trashDir, entry);
  if (isInPlace(parts, removal)) {
    // Whoever is at it holds the lock, which goes along with the folder.
    using lock = await lockVolumeFolder(folders.path(name), { name, action: 'settle', waitMs: 0 });
    if (lock !== undefined && (await moveRemoved(parts, name))) return;
  }
  if (boot === folders.settlingBoot) {
    // In the trash it settles in its time. Nowhere: somebody has deleted it.
    if (!isThere(path) && isPending(parts, removal)) catalog.unsettled.endRemovals([entry]);
    return;
  }
  if (!isThere(path) && madeIn === undefined) return catalog.unsettled.endRemovals([entry]);
  try {
    // It was made and removed before all of either was on the disk.
    if (madeIn !== undefined) makeDirectories(path, name);
    if ((await readRecordFile(join(path, trashedMark))) === undefined)
      await writeDurably(join(path, trashedMark), removal.mark);
    await syncAll([path, folders.trashDir]);
  } catch (error) {
    // Such as a full disk: the trash can still be emptied.
    throw stateError(`Cannot write down that volume ${quote(name)} was removed`, error);
  }
  catalog.unsettled.endRemovals([entry]);
}

/** Moves into the trash what lies in a volume's place and is removed. False when there is nothing like that. The lock is held. */
export async function moveRemoved(parts: Parts, name: string): Promise<boolean> {
  const { folders, catalog } = parts;
  const removal = removalInPlace(parts, name);
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

/** There may be thousands: all are made, then waited for once. */
async function makeAgain({ catalog, folders }: Parts, left: readonly UnsettledVolume[]): Promise<void> {
  const made: UnsettledVolume[] = [];
  for (const one of left)
    await orLater(async () => {
      makeDirectories(folders.path(one.name), one.name);
      made.push(one);
    });
  await orLater(() => settleMade({ catalog, folders }, made));
}

/** Those that are there stay as they are. */
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

function isInPlace(parts: Parts, { name, entry }: Removal): boolean {
  return removalInPlace(parts, name)?.entry === entry;
}

/**
 * The removal whose folder lies in the volume's place still. There may be several of one name, and a volume that has it
 * now: they are told by which folder it is. Of a state folder that was copied, where that says nothing, what lies there
 * belongs to the first one, if no volume has the name.
 */
function removalInPlace({ folders, catalog }: Parts, name: string): Removal | undefined {
  const found = folderIdentity(folders.path(name));
  if (found === undefined) return undefined;
  const waiting = catalog.unsettled
    .listRemovals(name)
    .filter(({ entry }) => !isThere(join(folders.trashDir, entry)));
  const own = waiting.find(({ folder }) => folder === found);
  if (own !== undefined || catalog.findEmbeddedVolume(name) !== undefined) return own;
  return waiting.toSorted((left, right) => (removedAt(left) < removedAt(right) ? -1 : 1))[0];
}

function removedAt({ mark }: Removal): string {
  return (JSON.parse(mark) as TrashedRecord).removedAt;
}

function isPending({ catalog }: Parts, { name, entry }: Removal): boolean {
  return catalog.unsettled.listRemovals(name).some((one) => one.entry === entry);
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
