import { lstat } from 'node:fs/promises';
import { walkTree } from '../lib/tree-walk.ts';
import { fromText } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { compareTrees } from '../snapshots/index.ts';
import { nameOf, parentOf } from '../lib/on-disk.ts';
import type { JobOptions } from '../activity/index.ts';
import { type RestoreChanges, summarize } from '../backup/index.ts';

/**
 * One thing in a folder that is replaced alone, or comes where nothing is: a single file, or a folder that is missing.
 *
 * It comes by a swap of the name, so that a crash leaves the old or the new and never half of one. A container that has a
 * file mounted by itself holds on to the old one; it sees the new one when it is started, as it is after every restore.
 */
export interface EntryDestination {
  readonly kind: 'entry';
  /** Its absolute path. */
  readonly name: string;
  /** Nothing is there. */
  readonly isEmpty: boolean;
  /** A single file is there; false for nothing, and for a directory: engines make one where a file to mount is missing. */
  readonly isFile: boolean;
  /** The folders above it as they were, with their absolute paths: missing ones are made so. */
  readonly folders?: readonly Entry[] | undefined;
  /** What is replaced is saved as a snapshot, not kept beside. */
  readonly canKeep: false;
}

/** Throws `conflict` where something else than a file or a directory is. */
export async function entryDestination(name: string): Promise<EntryDestination> {
  const blank = { kind: 'entry', name, canKeep: false } as const;
  try {
    const found = await lstat(name);
    if (!found.isFile() && !found.isDirectory())
      throw new AppError('conflict', `${quote(name)} is there, and is neither a file nor a directory`, {
        hint: 'Look at it, move it away, and restore again; or restore to another place with --to.',
      });
    return { ...blank, isEmpty: false, isFile: found.isFile() };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTDIR')
      throw new AppError('conflict', `Cannot restore ${quote(name)}: a part of its path is no directory`, {
        cause: error,
      });
    if (errno === 'ENOENT') return { ...blank, isEmpty: true, isFile: false };
    throw error;
  }
}

/** What changes where it is replaced. `entry` is what comes. */
export async function changesOfEntry(
  { name }: EntryDestination,
  { entry, since }: { readonly entry: Entry; readonly since: string },
  options: JobOptions,
): Promise<RestoreChanges> {
  const changes = compareTrees(
    { before: only({ ...entry, path: nameOf(fromText(name)) }), after: liveEntry(name, options) },
    { isSameContent: (one, other) => one.mtimeNs === other.mtimeNs, comparesXattrs: true },
  );
  return await summarize(changes, since);
}

async function* only<T>(one: T): AsyncGenerator<T, void, undefined> {
  yield one;
}

/** What has the name now, without what is in it. Nothing when it has gone. */
async function* liveEntry(name: string, { signal }: JobOptions): AsyncGenerator<Entry, void, undefined> {
  const path = fromText(name);
  const wanted = nameOf(path);
  for await (const { entry } of walkTree(parentOf(path), { only: wanted, isFlat: true, signal }))
    if (entry.path === wanted) yield entry;
}
