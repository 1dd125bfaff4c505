import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { requireAnswer } from '../lib/require-answer.ts';
import { fromText } from '../model/byte-string.ts';
import { isAppError } from '../model/errors.ts';
import { isWithin } from '../model/clean-path.ts';
import { quote } from '../model/quote.ts';
import { parseLocation } from '../repository/index.ts';
import type { Catalog } from '../catalog/catalog.ts';

/** A state folder or repository. */
export interface OwnFolder {
  /** Starts a sentence. */
  readonly what: string;
  /** Without symbolic links. */
  readonly folder: string;
}

/** Where Holdfast keeps its own data. */
export interface OwnPlaces {
  readonly stateDir: string;
  readonly catalog: Catalog;
}

/** The state folder and this machine's repositories below a directory, given without symbolic links. */
export async function ownFoldersBelow(
  { stateDir, catalog }: OwnPlaces,
  directory: string,
  ask = requireAnswer,
): Promise<OwnFolder[]> {
  const places = [{ what: 'The state folder of Holdfast, with its cache and its volumes', folder: stateDir }];
  for (const { name, location } of catalog.listRepositories()) {
    const where = parseLocation(location);
    if (where.kind === 'local')
      places.push({ what: `The repository ${quote(name)}`, folder: where.directory });
  }
  const found: OwnFolder[] = [];
  for (const { what, folder } of places) {
    const real = await realPlace(folder, ask);
    if (real !== undefined && real !== directory && isWithin(real, directory))
      found.push({ what, folder: real });
  }
  return found;
}

/**
 * Undefined if it does not exist. A repository may lie on a server that is away, which must not block a
 * backup to another one.
 */
async function realPlace(folder: string, ask: typeof requireAnswer): Promise<string | undefined> {
  try {
    await ask(fromText(folder), { name: folder, patienceMs: 4000 });
    return await realpath(folder);
  } catch (error) {
    return isAppError(error, 'unavailable') ? path.normalize(folder) : undefined;
  }
}
