import { readFile } from 'node:fs/promises';
import { errnoOf } from '../model/errors.ts';

/** The text of a file, in UTF-8; undefined where there is none. Throws other system errors as they are. */
export async function readTextIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
