import { constants, ftruncateSync, mkdirSync, readdirSync } from 'node:fs';
import { type DirectoryHandle } from '../../lib/directory-handle.ts';
import type { OpenDirectories } from '../../lib/open-directories.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { closeQuickly, openAt } from '../../lib/posix-at.ts';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { dropInheritedAcls } from './apply-metadata.ts';

/**
 * The target of a restore, held open from beginning to end: replacing its name meanwhile leads nowhere else.
 */
export interface HeldTarget extends Disposable {
  /** The directory that everything is created below: the target itself, or the parent of a single file. */
  readonly root: DirectoryHandle;
  /** The name of the single file; undefined for a directory. */
  readonly single: ByteString | undefined;
}

/**
 * Creates the target directory, or accepts an empty one: restoring never merges. For a single file, opens its
 * parent.
 */
export function holdTarget(
  target: ByteString,
  { isDirectory }: { readonly isDirectory: boolean },
): HeldTarget {
  const above = openTrusted(parentOf(target));
  const name = target.slice(target.lastIndexOf('/') + 1);
  if (!isDirectory) return { root: above, single: name, [Symbol.dispose]: () => above[Symbol.dispose]() };
  using _above = above;
  const root = makeTarget(above, name, target);
  return { root, single: undefined, [Symbol.dispose]: () => root[Symbol.dispose]() };
}

function makeTarget(above: DirectoryHandle, name: ByteString, target: ByteString): DirectoryHandle {
  const isNew = makeDirectory(above, name);
  const root = openTarget(above, name, target);
  if (!isNew && readdirSync(toPath(root.at('.'))).length > 0) {
    root[Symbol.dispose]();
    throw cannotTake(target, 'it is not empty');
  }
  dropInheritedAcls(root.at('.'));
  return root;
}

function makeDirectory(above: DirectoryHandle, name: ByteString): boolean {
  try {
    mkdirSync(toPath(above.at(name)), 0o700);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

function openTarget(above: DirectoryHandle, name: ByteString, target: ByteString): DirectoryHandle {
  try {
    return above.openChild(name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOTDIR' && errnoOf(error) !== 'ELOOP') throw error;
    throw cannotTake(target, 'it is there already, and is no directory');
  }
}

function cannotTake(target: ByteString, reason: string): AppError {
  return new AppError('exists', `Cannot restore to "${toPrintable(target)}": ${reason}`, {
    hint: 'Choose a directory that does not exist, or an empty one.',
  });
}

/** The open parent of a path below the target, valid until the next call, and the name in it. */
export function placeOf(
  places: OpenDirectories,
  path: ByteString,
): { readonly folder: DirectoryHandle; readonly name: ByteString } {
  const slash = path.lastIndexOf('/');
  const { handle } = places.enter(slash === -1 ? '' : path.slice(0, slash), { create: false });
  return { folder: handle, name: path.slice(slash + 1) };
}

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A new file, open for writing; the caller closes it. */
export function openNewFile(places: OpenDirectories, path: ByteString): number {
  const { folder, name } = placeOf(places, path);
  return openAt(folder.fd, name, createFlags, 0o600);
}

export function createFile(places: OpenDirectories, path: ByteString, size: number): void {
  const fd = openNewFile(places, path);
  try {
    ftruncateSync(fd, size);
  } finally {
    closeQuickly(fd);
  }
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 1));
}

/** A directory, to make its file system durable. */
export function openDisk(folder: DirectoryHandle): { readonly fd: number } & Disposable {
  const fd = openAt(folder.fd, '.', constants.O_RDONLY | constants.O_DIRECTORY);
  return { fd, [Symbol.dispose]: () => closeQuickly(fd) };
}
