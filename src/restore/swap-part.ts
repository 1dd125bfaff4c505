import { lstatSync, renameSync } from 'node:fs';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { exchange, renameToNew } from '../lib/exchange.ts';
import { setTimes } from '../lib/posix.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { JournalMember } from './restore-journal.ts';
import { syncFilesystemOf } from '../lib/on-disk.ts';

/** Swaps one entry below a directory, in one step. Never follows a symbolic link. */

export function preparePart(member: JournalMember): JournalMember {
  using place = openPlace(member);
  const { mtimeNs } = lstatSync(toPath(place.folder.at('.')), { bigint: true });
  return { ...member, folderTime: String(mtimeNs) };
}

export function isPartSwapped(member: JournalMember): boolean {
  using place = findPlace(member);
  return place !== undefined && inodeAt(place.at) === member.fresh;
}

export async function swapPart(member: JournalMember): Promise<void> {
  const comes = `${member.stage}/new`;
  {
    using place = openPlace(member);
    const now = inodeAt(place.at);
    if (now === undefined) moveIn(comes, place.at, member);
    else if (now !== member.fresh) {
      exchange(comes, place.at);
      if (inodeAt(comes) !== now) {
        exchange(comes, place.at);
        throw takenByOther(member.part ?? '');
      }
    }
  }
  // The folder that received it may have been moved meanwhile.
  if (!isPartSwapped(member)) throw takenByOther(member.part ?? '');
  await syncFilesystemOf(member.root);
}

/** Never replaces an entry that has just taken the name. */
function moveIn(comes: ByteString, at: ByteString, { part = '' }: JournalMember): void {
  try {
    renameToNew(comes, at);
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'EEXIST') throw takenByOther(part);
    // A file system without this rename flag.
    if (!['EINVAL', 'ENOSYS'].includes(errno)) throw error;
    renameSync(toPath(comes), toPath(at));
  }
}

export async function takeBackPart(member: JournalMember): Promise<void> {
  const kept = `${member.stage}/new`;
  {
    using place = findPlace(member);
    if (place === undefined || inodeAt(place.at) !== member.fresh) {
      const now = inodeAt(kept);
      // The old data lies in the stage, and has no place to go back to.
      if (now !== undefined && now !== member.fresh) throw takenByOther(member.part ?? '');
      return;
    }
    if (inodeAt(kept) === undefined) renameSync(toPath(place.at), toPath(kept));
    else exchange(kept, place.at);
    if (member.folderTime !== undefined) setTimes(place.folder.at('.'), BigInt(member.folderTime));
  }
  await syncFilesystemOf(member.root);
}

interface Place extends Disposable {
  /** The folder that contains the entry. */
  readonly folder: DirectoryHandle;
  readonly at: ByteString;
}

function openPlace(member: JournalMember): Place {
  const place = findPlace(member);
  if (place !== undefined) return place;
  throw new AppError('conflict', `The folder of "${toPrintable(member.part ?? '')}" has gone meanwhile`, {
    hint: 'Run the restore again.',
  });
}

function findPlace({ root, part = '' }: JournalMember): Place | undefined {
  const names = part.split('/');
  const name = names.pop() ?? '';
  const { folder, missing } = openFolders(root, names);
  if (missing.length === 0)
    return { folder, at: folder.at(name), [Symbol.dispose]: () => folder[Symbol.dispose]() };
  folder[Symbol.dispose]();
  return undefined;
}

/** Opens the deepest existing folder of a path, and returns the missing names below it. */
export function openFolders(
  root: ByteString,
  names: readonly ByteString[],
): { readonly folder: DirectoryHandle; readonly path: ByteString; readonly missing: readonly ByteString[] } {
  let folder = DirectoryHandle.open(root);
  let path = '';
  for (const [index, name] of names.entries()) {
    let next: DirectoryHandle;
    try {
      next = folder.openChild(name);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { folder, path, missing: names.slice(index) };
      folder[Symbol.dispose]();
      throw explain(error, path === '' ? name : `${path}/${name}`);
    }
    folder[Symbol.dispose]();
    folder = next;
    path = path === '' ? name : `${path}/${name}`;
  }
  return { folder, path, missing: [] };
}

function explain(error: unknown, path: ByteString): unknown {
  const errno = errnoOf(error);
  if (errno !== 'ELOOP' && errno !== 'ENOTDIR') return error;
  return new AppError(
    'conflict',
    `Cannot restore below "${toPrintable(path)}": it is no folder in the live data`,
    {
      detail: 'A symbolic link is not followed: it may lead out of the volume.',
      hint: 'Restore the whole volume, or to another place with --to.',
    },
  );
}

function inodeAt(path: ByteString): string | undefined {
  const stat = lstatSync(toPath(path), { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : String(stat.ino);
}

export function takenByOther(name: ByteString): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(name)}" was replaced by another program while it was restored`,
    { hint: 'Find out what does that, and restore again.' },
  );
}
