import { lstatSync, readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoOf } from '../model/errors.ts';
import { knownError } from './known-error.ts';

/** The names in a folder; none where it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    return noneOrThrow(folder, error);
  }
}

/** The same, for commands that do not load `node:fs/promises` at their start. */
export function namesInSync(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    return noneOrThrow(folder, error);
  }
}

function noneOrThrow(folder: string, error: unknown): [] {
  if (errnoOf(error) === 'ENOENT') return [];
  throw knownError(error, `Cannot read "${folder}"`);
}

/**
 * Identifies a folder independently of its name; undefined when there is none. An inode number alone is
 * reused.
 */
export function folderIdentity(path: string | Buffer): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.ino}:${found.birthtimeNs}`;
}
