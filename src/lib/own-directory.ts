import { randomBytes } from 'node:crypto';
import { constants, mkdirSync, readdirSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import type { DirectoryHandle } from './directory-handle.ts';
import { closeQuickly, openAt, removeDirectoryAt, statOpen, unlinkAt } from './posix-at.ts';
import { emptyDirectory } from './remove-tree.ts';

/**
 * Creates a directory in an open one, and keeps it open. Its name ends in 16 random digits. Throws `conflict`
 * when another program has put something else in its place, and a system error for everything else.
 */
export function makeOwnDirectory(folder: DirectoryHandle, name: ByteString): DirectoryHandle {
  mkdirSync(toPath(folder.at(name)), { mode: 0o700 });
  let made: DirectoryHandle;
  try {
    made = folder.openChild(name);
  } catch (error) {
    throw ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '') ? replacedDirectory(name) : error;
  }
  if (isOwn(made, { folder, name })) return made;
  made[Symbol.dispose]();
  throw replacedDirectory(name);
}

/**
 * Removes an open directory with its content. If its name now belongs to something else, that stays, unless
 * it is an empty directory.
 */
export async function removeOwnDirectory(
  folder: DirectoryHandle,
  { name, made }: { readonly name: ByteString; readonly made: DirectoryHandle },
): Promise<void> {
  await emptyDirectory(made);
  try {
    removeDirectoryAt(folder.fd, name);
  } catch (error) {
    // The name now belongs to something else, which is not ours.
    if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

export function replacedDirectory(path: ByteString): AppError {
  return new AppError(
    'conflict',
    `"${toPrintable(path)}" is not what was made there: another program has put something else in its place`,
    { hint: 'Find out which user can write to the folder that it is in.' },
  );
}

interface Place {
  readonly folder: DirectoryHandle;
  readonly name: ByteString;
}

/**
 * True when a new directory is the one that this process created: another user could put one of their own in
 * its place, and then change what is created in it.
 */
function isOwn(made: DirectoryHandle, place: Place): boolean {
  const [stat, above] = [made.stat(), place.folder.stat()];
  if (stat.dev !== above.dev || readdirSync(toPath(made.at('.'))).length > 0) return false;
  return stat.uid === BigInt(process.geteuid?.() ?? 0) || stat.uid === ownerOfNew(place);
}

/** The owner of new files in a folder: a file system may assign another user than the creator. */
function ownerOfNew({ folder, name }: Place): bigint {
  // A kill leaves it as one more of these directories, which are removed.
  const other = `${name.slice(0, -16)}${randomBytes(8).toString('hex')}`;
  const fd = openAt(folder.fd, other, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  try {
    unlinkAt(folder.fd, other);
    return statOpen(fd).uid;
  } finally {
    closeQuickly(fd);
  }
}
