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
