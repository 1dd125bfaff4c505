import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { instantOf } from '../../model/local-time.ts';
import { type ArchiveName, hasArchiveName, readArchiveName, refuseEncrypted } from './archive-name.ts';

export interface FindArchives {
  /** Files, or folders whose archives are meant. */
  readonly paths: readonly string[];
  readonly pattern: RegExp | undefined;
  /** The volume of all of them, regardless of their names. */
  readonly volume: string | undefined;
  readonly timeZone: string | undefined;
}

export interface FoundArchive {
  readonly path: string;
  readonly name: ArchiveName;
  readonly timeMs: number;
}

export interface RefusedArchive {
  readonly path: string;
  readonly error: AppError;
}

/** The archives, oldest first, so that each stores only what changed since the one before. */
export async function findArchives(
  request: FindArchives,
): Promise<{ found: FoundArchive[]; refused: RefusedArchive[] }> {
  const files = new Set<string>();
  for (const given of request.paths) for (const file of await filesOf(path.resolve(given))) files.add(file);
  if (files.size === 0)
    throw new AppError('not-found', 'There are no archives', {
      hint: 'Name archives, or folders in which files end with .tar, .tar.gz, .tgz, .tar.zst or .tar.xz.',
    });
  const found: FoundArchive[] = [];
  const refused: RefusedArchive[] = [];
  for (const file of files) {
    try {
      found.push(readName(file, request));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      refused.push({ path: file, error });
    }
  }
  return { found: found.sort((a, b) => a.timeMs - b.timeMs || (a.path < b.path ? -1 : 1)), refused };
}

async function filesOf(given: string): Promise<string[]> {
  try {
    if (!(await stat(given)).isDirectory()) return [given];
    const entries = await readdir(given, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && hasArchiveName(entry.name))
      .map(({ name }) => path.join(given, name))
      .sort();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') throw new AppError('not-found', `There is no ${quote(given)}`, { cause: error });
    if (errno === undefined) throw error;
    throw new AppError('denied', `Cannot read ${quote(given)}: ${errno}`, { cause: error });
  }
}

function readName(file: string, { pattern, volume, timeZone }: FindArchives): FoundArchive {
  const base = path.basename(file);
  refuseEncrypted(base);
  const name = readArchiveName(base, pattern);
  if (name === undefined) {
    throw new AppError('usage', `Cannot import ${quote(base)}: its name does not say when it was made`, {
      hint: 'Say how names are written: --name-pattern "{volume}-%Y%m%d-%H%M%S".',
    });
  }
  const time = instantOf(name.time, timeZone);
  if (time === undefined || Number.isNaN(time.getTime()))
    throw new AppError('usage', `Cannot import ${quote(base)}: there is no such date as in its name`);
  return { path: file, name: { ...name, volume: volume ?? name.volume }, timeMs: time.getTime() };
}
