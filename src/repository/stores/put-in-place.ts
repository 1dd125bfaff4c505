import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDurably } from '../../lib/durable-file.ts';
import { errnoOf } from '../../model/errors.ts';

/**
 * Puts a file where it belongs in a local repository. One that was copied without its empty folders gets them back; one
 * that is gone as a whole is never made anew in its place.
 */
export async function putInPlace(
  { location, path }: { readonly location: string; readonly path: string },
  put: () => Promise<void>,
): Promise<void> {
  try {
    await put();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || !isRepository(location)) throw error;
    await makeDurably(dirname(path));
    await put();
  }
}

export function isRepository(location: string): boolean {
  return existsSync(`${location}/config`);
}
