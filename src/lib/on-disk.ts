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

export async function syncFolder(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

export function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

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
