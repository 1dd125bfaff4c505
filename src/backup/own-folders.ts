import { realpath } from 'node:fs/promises';
import { isWithin } from '../model/is-within.ts';
import { quote } from '../model/quote.ts';
import { parseLocation } from '../repository/index.ts';
import type { Protection } from '../activity/protection.ts';

/** A folder of Holdfast's own. */
export interface OwnFolder {
  /** At the start of a sentence. */
  readonly what: string;
  /** Without symbolic links. */
  readonly folder: string;
}

/** The state folder and the repositories of this machine that lie below a directory, which is given without symbolic links. */
export async function ownFoldersBelow(
  parts: Pick<Protection, 'stateDir' | 'catalog'>,
  directory: string,
): Promise<OwnFolder[]> {
  const places = [
    { what: 'The state folder of Holdfast, with its cache and its volumes', folder: parts.stateDir },
  ];
  for (const { name, location } of (await parts.catalog()).listRepositories()) {
    const where = parseLocation(location);
    if (where.kind === 'local')
      places.push({ what: `The repository ${quote(name)}`, folder: where.directory });
  }
  const found: OwnFolder[] = [];
  for (const { what, folder } of places) {
    const real = await realpath(folder).catch(() => undefined);
    if (real !== undefined && real !== directory && isWithin(real, directory))
      found.push({ what, folder: real });
  }
  return found;
}
