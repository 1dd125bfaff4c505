import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoOf } from '../model/errors.ts';
import { knownError } from './known-error.ts';

/** The names in a folder; none where it was never made. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw knownError(error, `Cannot read "${folder}"`);
  }
}

/** Which folder it is, whatever name it has now or later; undefined for none. The inode alone is given to the next one. */
export function folderIdentity(path: string | Buffer): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.ino}:${found.birthtimeNs}`;
}
