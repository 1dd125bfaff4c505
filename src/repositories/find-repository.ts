import { statSync } from 'node:fs';
import path from 'node:path';
import type { RepositoryRecord } from '../catalog/catalog.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import { parseLocation } from '../repository/index.ts';

export interface RepositoryRequest {
  /** A name or a location; undefined takes the default repository. */
  readonly repository: string | undefined;
  /** Undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
}

/** A repository's location, its password reference, and its record in the catalog. */
export interface RepositoryPlace {
  readonly location: string;
  readonly options: Readonly<Record<string, string>> | undefined;
  readonly passwordReference: string;
  readonly record: RepositoryRecord | undefined;
}

/**
 * Finds the repository among those in the catalog. Of the storage it only checks whether an unknown directory
 * is a repository.
 */
export function findRepository(
  request: RepositoryRequest,
  records: readonly RepositoryRecord[],
): RepositoryPlace {
  const record = recordFor(request.repository, records);
  if (request.repository === undefined && record === undefined) {
    throw new AppError('not-found', 'There is no repository yet', {
      hint: 'Make one with "holdfast init", or name one with --repo.',
    });
  }
  const location = record?.location ?? repositoryLocation(request.repository ?? '');
  const passwordReference = request.passwordReference ?? record?.passwordReference;
  if (passwordReference === undefined) {
    const name = request.repository ?? '';
    if (/^[^/.:]+$/.test(name)) throw noSuchName(name, records);
    if (isNoRepository(location)) {
      throw new AppError('not-found', `There is no repository in ${quote(location)}`, {
        hint: `If it is on a disk that is not mounted, mount it. To make a new one: holdfast init --repo ${location}`,
      });
    }
    throw new AppError('usage', `There is no password for the repository ${quote(location)}`, {
      hint: 'Give it with --password-file, or take the repository over with "holdfast init --repo DIR --password-file FILE".',
    });
  }
  return { location, options: record?.options, passwordReference, record };
}

/** True for a local directory that certainly is no repository: no password would open it. */
function isNoRepository(location: string): boolean {
  const where = parseLocation(location);
  if (where.kind !== 'local') return false;
  try {
    statSync(path.join(where.directory, 'config'));
    return false;
  } catch (error) {
    return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR';
  }
}

/**
 * For text that looks like a name: otherwise the error would be a missing password for a directory of that
 * name.
 */
function noSuchName(name: string, records: readonly RepositoryRecord[]): AppError {
  const near = nearNames(
    name,
    records.map((record) => record.name),
  );
  return new AppError('not-found', `There is no repository ${quote(name)}`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.map(quote).join(' or ')}?`
        : 'See "holdfast repo ls". A directory is written with a "/" or "." in it, and needs --password-file.',
  });
}

function recordFor(
  wanted: string | undefined,
  records: readonly RepositoryRecord[],
): RepositoryRecord | undefined {
  if (wanted === undefined) return records.find((record) => record.isDefault);
  const byName = records.find((record) => record.name === wanted);
  if (byName !== undefined) return byName;
  const location = repositoryLocation(wanted);
  return records.find((record) => record.location === location);
}

/** The canonical form of the location that `--repo` names. */
export function repositoryLocation(text: string): string {
  return parseLocation(text).text;
}
