import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLockFile } from '../lib/file-lock.ts';
import { namesIn } from '../lib/folder-names.ts';
import { AppError } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';
import { quote } from '../model/quote.ts';
import { longestOwnName } from '../model/volume-name.ts';

/**
 * The journals of data on its way between an engine and the trash, a file for each volume: `journal-foreign`
 * in the state folder is for the way in, `journal-trash` for the way back.
 */

/** One process at a time uses the journals of a folder; returns the holder if it is another. */
export async function lockJournals(folder: string): Promise<AsyncDisposable | { readonly heldBy: string }> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return await tryLockFile(join(folder, 'lock'), { owner: String(process.pid) });
}

/** The paths of the existing ones; none where the folder was never made. */
export async function listJournals(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => name.endsWith('.json')).map((name) => join(folder, name));
}

export function newJournal(folder: string): string {
  return join(folder, `${randomBytes(8).toString('hex')}.json`);
}

/** Throws `integrity` for a file that does not satisfy `isWhole`. */
export async function readJournal<T>(
  path: string,
  isWhole: (value: Partial<Record<keyof T, unknown>>) => boolean,
): Promise<T> {
  const value = parseJson(await readFile(path, 'utf8'));
  if (typeof value === 'object' && value !== null && isWhole(value)) return value as T;
  throw new AppError(
    'integrity',
    `${quote(path)} is damaged. The data is a volume of Holdfast's own ("holdfast volume ls --host embedded"), or at the engine: delete the file when you have it`,
  );
}

/** A dot and six characters. */
const tokenLength = 7;

/** True when a managed volume of this name can go to the trash. */
export function fitsTrash(name: string): boolean {
  return name.length <= longestOwnName;
}

/** An unused name that resembles the given one. */
export function nameNear(name: string): string {
  return `${name.slice(0, longestOwnName - tokenLength)}.${randomBytes(3).toString('hex')}`;
}
