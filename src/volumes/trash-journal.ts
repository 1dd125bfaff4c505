import { AppError, errnoOf, errorMessage } from '../model/errors.ts';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { folderIdentity } from '../lib/folder-names.ts';
import type { ManagedVolumes } from './managed/managed-volumes.ts';
import { tryLockDirectory } from '../lib/directory-lock.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { removeTreeIn } from '../lib/remove-tree.ts';
import { type ByteString, fromText, toPath } from '../model/byte-string.ts';
import { removeEmpty, syncNames } from './kept-directory.ts';
import { listJournals, lockJournals, readJournal } from './trash-journals.ts';
import { isUnfinishedFill } from '../lib/stage-names.ts';

export interface TrashJournalScope {
  readonly managed: Pick<ManagedVolumes, 'find' | 'remove'>;
  readonly stateDir: string;
  /** Receives what could not be settled. It is tried again the next time. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** The record of data on its way from the trash to an engine. */
export interface TrashJournal {
  /** The managed volume that has the data meanwhile. */
  readonly name: string;
  /** Identifies the directory that holds the data, once it is out of the trash. */
  readonly data?: string | undefined;
  /** The engine's directory that it is copied into. */
  readonly root?: ByteString | undefined;
}

export function journalDir(stateDir: string): string {
  return join(stateDir, 'journal-trash');
}

/** One process at a time restores from the trash. */
export async function lockRestores(stateDir: string): Promise<AsyncDisposable> {
  const lock = await lockJournals(journalDir(stateDir));
  if (!('heldBy' in lock)) return lock;
  throw new AppError('locked', `Cannot restore from the trash: process ${lock.heldBy} does so`, {
    hint: 'Wait for its end, and run this again.',
  });
}

/** Has work only after a kill. `locked` while another process is restoring. */
export async function settleLeft(scope: TrashJournalScope): Promise<void> {
  if ((await listJournals(journalDir(scope.stateDir))).length === 0) return;
  await using _lock = await lockRestores(scope.stateDir);
  await settle(scope);
}

/**
 * Moves to the trash again what did not reach the engine. The caller holds the lock. A journal that cannot be
 * settled does not block the others.
 */
export async function settle(scope: TrashJournalScope): Promise<void> {
  for (const path of await listJournals(journalDir(scope.stateDir))) {
    try {
      await settleOne(scope.managed, await readJournal(path, isTrashJournal));
      await rm(path, { force: true });
    } catch (error) {
      const why = errorMessage(error);
      scope.onWarning?.(`What a restore from the trash has left is not put right yet: ${why}`);
    }
  }
}

function isTrashJournal({ name, data, root }: Partial<Record<keyof TrashJournal, unknown>>): boolean {
  return typeof name === 'string' && isTextOrNone(data) && isTextOrNone(root);
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

async function settleOne(
  managed: TrashJournalScope['managed'],
  { name, data, root }: TrashJournal,
): Promise<void> {
  if (root !== undefined) await removeUnfinished(root);
  const kept = await managed.find(name);
  if (kept === undefined) return;
  const isAtEngine = data !== undefined && folderIdentity(kept.mountpoint) !== data;
  // The exchange has to be on disk before its record is removed.
  if (isAtEngine) syncNames([fromText(kept.mountpoint)]);
  // What the data changed places with was empty. What an app has put into it since goes to the trash.
  await managed.remove(name, { permanent: isAtEngine && removeEmpty(kept.mountpoint), isHeld: true });
}

/** Removes an incomplete copy; its source is still ours. */
async function removeUnfinished(root: ByteString): Promise<void> {
  try {
    using handle = openTrusted(root);
    using lock = tryLockDirectory(handle.self);
    // A process that is filling it now removes what others have left.
    if (lock === undefined) return;
    for (const name of await readdir(toPath(handle.at('.')), { encoding: 'latin1' }))
      if (isUnfinishedFill(name)) await removeTreeIn(handle, name);
  } catch (error) {
    // The volume is gone at its engine.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
