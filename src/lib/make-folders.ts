import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../model/errors.ts';

/**
 * Makes a folder and those above it that are missing; gives back the first that was made. Node's own recursive one goes
 * on for ever where a folder is there and what is made in it is said not to be (`/proc`, an automounter's folder).
 */
export async function makeFolders(
  folder: string,
  options: { readonly mode: number },
): Promise<string | undefined> {
  try {
    return await makeOne(folder, options);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
  }
  const first = await makeFolders(dirname(folder), options);
  const made = await makeOne(folder, options);
  return first ?? made;
}

async function makeOne(folder: string, options: { readonly mode: number }): Promise<string | undefined> {
  try {
    await mkdir(folder, options);
    return folder;
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() !== true) throw error;
    return undefined;
  }
}
