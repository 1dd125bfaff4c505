import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { syncFilesystem } from './posix.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { errnoOf } from '../model/errors.ts';

/** Makes everything durable that was written to the file system of a directory. */
export async function syncFilesystemOf(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  syncFilesystem(folder.fd);
}

/** Makes the names in a directory durable. */
export async function syncFolder(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

/** The directory above; `/` above a name at the root. The path is absolute. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** True for anything that has the name, and for a link whatever it leads to. */
export async function exists(path: ByteString): Promise<boolean> {
  return (await inodeOf(path)) !== undefined;
}

/** The number of a file in its file system; undefined when there is none. */
export async function inodeOf(path: ByteString): Promise<string | undefined> {
  try {
    return String((await lstat(toPath(path), { bigint: true })).ino);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
