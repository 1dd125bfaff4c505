import { closeSync, constants, ftruncateSync, lstatSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { type ByteString, toPath, toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { dropInheritedAcls } from './apply-metadata.ts';

/** Makes the target directory, or takes an empty one: restoring never merges. */
export function makeTarget(target: ByteString): void {
  try {
    mkdirSync(toPath(target), 0o700);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    const isDirectory = lstatSync(toPath(target)).isDirectory();
    if (!isDirectory || readdirSync(toPath(target)).length > 0) {
      const reason = isDirectory ? 'it is not empty' : 'it is there already, and is no directory';
      throw new AppError('exists', `Cannot restore to "${toPrintable(target)}": ${reason}`, {
        hint: 'Choose a directory that does not exist, or an empty one.',
      });
    }
  }
  dropInheritedAcls(target);
}

export function createFile(path: ByteString, size: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(toPath(path), flags, 0o600);
  try {
    ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
}

export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 1));
}

/** A directory, to make its file system durable. */
export function openDisk(path: ByteString): { readonly fd: number } & Disposable {
  const fd = openSync(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

/** Below the target, in words for people: where it was made ready is nobody's business. */
export function relativeTo(target: ByteString, path: ByteString): string {
  return toPrintable(
    path === target ? '/' : path.startsWith(`${target}/`) ? path.slice(target.length + 1) : path,
  );
}
