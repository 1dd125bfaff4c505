import { AppError, errnoOf, errorMessage } from '../model/errors.ts';
import { closeSync, openSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { folderIdentity } from '../lib/folder-names.ts';
import type { ManagedVolume, ManagedVolumes } from './managed/managed-volumes.ts';
import { copyTree } from './mirror/copy-tree.ts';
import { syncDirectory, writeDurably } from '../lib/durable-file.ts';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { exchange, tryExchange } from '../lib/exchange.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { type ByteString, fromText, toPath } from '../model/byte-string.ts';
import { quote } from '../model/quote.ts';
import { removedFromLabel } from '../model/volume-name.ts';
import {
  claimData,
  type HeldName,
  holdName,
  removeEmpty,
  syncNames,
  takenByOther,
} from './kept-directory.ts';
import {
  fitsTrash,
  listJournals,
  lockJournals,
  nameNear,
  newJournal,
  readJournal,
} from './trash-journals.ts';

/** A volume that another engine keeps as a plain directory of this machine. */
export interface ForeignVolume {
  readonly name: string;
  /** The absolute path of its data. */
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ForeignTrashScope {
  readonly managed: Pick<ManagedVolumes, 'create' | 'find' | 'remove'>;
  readonly stateDir: string;
}

/** Our trash for another engine's volumes. One process at a time holds it. */
export interface ForeignTrash extends AsyncDisposable {
  /**
   * Takes a volume's data into the trash while `removeThere` removes the volume at its engine. If that
   * returns false, the engine refused: the data goes back, and false is returned. If it throws, the outcome
   * is unknown: the data stays in the trash until this is opened again. On one file system the data is
   * exchanged with an empty directory in one step; otherwise it is copied first. The next opening settles
   * what a kill leaves.
   */
  take(volume: ForeignVolume, removeThere: () => Promise<boolean>): Promise<boolean>;
}

export async function openForeignTrash(scope: ForeignTrashScope): Promise<ForeignTrash> {
  const lock = await lockJournals(journalDir(scope.stateDir));
  if ('heldBy' in lock) {
    throw new AppError(
      'in-use',
      `Cannot use the trash for volumes of another engine: process ${lock.heldBy} does`,
      {
        hint: 'One process for each state folder does so: end that one, or choose another by --state-dir.',
      },
    );
  }
  await using opened = new AsyncDisposableStack();
  opened.use(lock);
  await settle(scope);
  const held = opened.move();
  return {
    take: (volume, removeThere) => take(scope, volume, removeThere),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function take(
  { managed, stateDir }: ForeignTrashScope,
  volume: ForeignVolume,
  removeThere: () => Promise<boolean>,
): Promise<boolean> {
  const path = fromText(volume.path);
  await using _claim = await claimData(path, { action: 'remove', name: volume.name });
  using there = holdName(path);
  const kept = await makePlace(managed, volume);
  const journal = newJournal(journalDir(stateDir));
  const undo = async (isMoved: boolean): Promise<void> => {
    // First the data, then the record of where it is.
    if (isMoved) await moveBack(managed, kept, volume.path);
    else await managed.remove(kept.name, { permanent: true, isHeld: true });
    await rm(journal, { force: true });
  };
  let isMoved = false;
  try {
    using held = openThere(there, volume.path);
    const data = folderIdentity(toPath(held.at('.')));
    const note = { name: kept.name, path: volume.path, data };
    await writeDurably(journal, JSON.stringify(note));
    const ours = fromText(kept.mountpoint);
    isMoved = tryExchange(there.at, ours);
    if (isMoved && folderIdentity(kept.mountpoint) !== data) {
      exchange(there.at, ours);
      isMoved = false;
      throw takenByOther(volume.path);
    }
    if (isMoved) await syncDirectory(dirname(kept.mountpoint));
    else {
      await writeDurably(journal, JSON.stringify({ ...note, isCopy: true }));
      await copyData(volume.path, { from: held.self, to: kept.mountpoint });
    }
  } catch (error) {
    await undo(isMoved);
    throw error;
  }
  const isRemoved = await removedThere(removeThere, { volume, kept });
  if (isRemoved) {
    await managed.remove(kept.name, { isHeld: true });
    await rm(journal, { force: true });
  } else await undo(isMoved);
  return isRemoved;
}

function openThere({ folder, name }: HeldName, path: string): DirectoryHandle {
  try {
    return folder.openChild(name);
  } catch (error) {
    throw ['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '') ? takenByOther(path) : error;
  }
}

/**
 * An engine that does not answer may still remove what lies in the volume's place, so nothing is put there.
 */
async function removedThere(
  removeThere: () => Promise<boolean>,
  { volume, kept }: { readonly volume: ForeignVolume; readonly kept: ManagedVolume },
): Promise<boolean> {
  try {
    return await removeThere();
  } catch (error) {
    if ((await lstat(volume.path).catch(() => undefined)) === undefined) return true;
    const why = errorMessage(error);
    throw new AppError('unavailable', `It is not known whether ${quote(volume.name)} was removed: ${why}`, {
      hint: `Its data is in Holdfast's own volume ${quote(kept.name)}, and is put right when the API is started again.`,
      cause: error,
    });
  }
}

/** Moves data back if its engine still has the volume, otherwise to the trash. */
async function settle({ managed, stateDir }: ForeignTrashScope): Promise<void> {
  for (const journal of await listJournals(journalDir(stateDir))) {
    await settleOne(managed, await readJournal(journal, isForeignJournal));
    await rm(journal, { force: true });
  }
}

interface ForeignJournal {
  /** The managed volume that takes the data. */
  readonly name: string;
  /** Where the data was. */
  readonly path: string;
  /** Identifies the directory that holds the data. */
  readonly data: string;
  /** The managed volume has a copy of it, whole or not. */
  readonly isCopy?: boolean | undefined;
}

function isForeignJournal({ name, path }: Partial<Record<keyof ForeignJournal, unknown>>): boolean {
  return typeof name === 'string' && typeof path === 'string';
}

async function settleOne(
  managed: ForeignTrashScope['managed'],
  { name, path, data, isCopy = false }: ForeignJournal,
): Promise<void> {
  const kept = await managed.find(name);
  if (kept === undefined) return;
  const [ours, theirs] = [folderIdentity(kept.mountpoint), folderIdentity(path)];
  const isInPlace = theirs !== undefined && theirs === data;
  if (isInPlace)
    return await managed.remove(name, { permanent: isCopy || removeEmpty(kept.mountpoint), isHeld: true });
  // The volume is gone there, or is another of that name: what we have is the data, moved or copied.
  if (theirs === undefined || ours !== data) return await managed.remove(name, { isHeld: true });
  if ((await readdir(path)).length > 0) {
    throw new AppError(
      'conflict',
      `The data of "${name}" is in "${kept.mountpoint}", and "${path}" holds new data`,
      {
        hint: 'Neither is touched: put what you need where it belongs.',
      },
    );
  }
  await moveBack(managed, kept, path);
}

/** What an app wrote meanwhile into the empty directory in its place goes to the trash. */
async function moveBack(
  managed: ForeignTrashScope['managed'],
  { name, mountpoint }: ManagedVolume,
  path: string,
): Promise<void> {
  using there = holdName(fromText(path));
  const ours = fromText(mountpoint);
  exchange(there.at, ours);
  if (!(await lstat(mountpoint)).isDirectory()) {
    exchange(there.at, ours);
    throw takenByOther(path);
  }
  syncNames([there.at, ours]);
  await managed.remove(name, { permanent: removeEmpty(mountpoint), isHeld: true });
}

function journalDir(stateDir: string): string {
  return join(stateDir, 'journal-foreign');
}

/** A managed volume of the same name, or of a similar one when that is taken or too long. */
async function makePlace(
  managed: ForeignTrashScope['managed'],
  { name, labels }: ForeignVolume,
): Promise<ManagedVolume> {
  const isFree = fitsTrash(name) && (await managed.find(name)) === undefined;
  const free = isFree ? name : nameNear(name);
  const marked = { ...labels, [removedFromLabel]: name };
  return await managed.create({ name: free, driver: 'local', labels: marked, options: {} });
}

async function copyData(
  shown: string,
  { from, to }: { readonly from: ByteString; readonly to: string },
): Promise<void> {
  using synced = new DisposableStack();
  const target = openSync(to, 'r');
  synced.defer(() => closeSync(target));
  const problems: string[] = [];
  await copyTree(from, fromText(to), { onProblem: ({ message }) => void problems.push(message) });
  if (problems.length > 0) {
    throw new AppError('failed', `Cannot copy the data of "${shown}" into the trash`, {
      detail: problems[0],
    });
  }
  // The original is removed next.
  syncFilesystem(target);
}
