import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type RepositoryRecord, type Catalog } from '../catalog/catalog.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Repository, RepositoryKey } from '../repository/index.ts';
import { freeKeyFile, makeKeyFile } from '../lib/key-file.ts';
import { readPassword } from '../lib/password.ts';
import type { JobOptions } from '../activity/index.ts';

/** The source of a new password: one of these, or neither for a random key in the state folder. */
export interface NewKey {
  /** `file:/path` or `exec:command`. */
  readonly passwordReference?: string | undefined;
  /** A random key is made in this file, which must not exist. */
  readonly keyFile?: string | undefined;
}

/** A repository whose keys change, and where their passwords are and are written down. */
export interface KeyPlace {
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The reference that this command was given; undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
}

export interface AddedKey {
  readonly key: RepositoryKey;
  /** The file with the random key that was made. */
  readonly keyFile: string | undefined;
}

export interface ChangedKey extends AddedKey {
  readonly removedId: string;
  /**
   * The catalog's new reference; undefined when the catalog does not know the repository, or its reference is
   * still right.
   */
  readonly catalogReference: string | undefined;
  /** The key file that no longer opens the repository. */
  readonly formerKeyFile: string | undefined;
}

export interface RemovedKey {
  readonly key: RepositoryKey;
  readonly catalogReference: string | undefined;
}

/** Adds a password. Existing ones stay. */
export async function addKey(place: KeyPlace, request: NewKey, options: JobOptions): Promise<AddedKey> {
  const { key, keyFile } = await storeNewKey(place, request, options);
  return { key, keyFile };
}

/** Replaces the password in use: the new one is durable and proven before the old one is removed. */
export async function changeKey(place: KeyPlace, request: NewKey, options: JobOptions): Promise<ChangedKey> {
  const { repository } = place;
  const old = (await repository.listKeys(options)).find(({ isCurrent }) => isCurrent);
  if (old === undefined) {
    throw new AppError('conflict', 'The key that opened this repository was removed meanwhile', {
      hint: 'Run "holdfast key list" with another password.',
    });
  }
  const record = recordOf(place);
  const formerReference = place.passwordReference ?? record?.passwordReference;
  const { key, keyFile, reference, password } = await storeNewKey(place, request, options);
  // Until the old key is removed both open, so either reference in the catalog is right.
  const catalogReference = await followCatalog(place, { removedId: old.id, reference });
  await repository.removeKey(old.id, { instead: password, signal: options.signal });
  const formerKeyFile = formerReference?.startsWith('file:') ? formerReference.slice(5) : undefined;
  const isOther = formerReference !== reference;
  return {
    key: { ...key, isCurrent: true },
    keyFile,
    removedId: old.id,
    catalogReference,
    formerKeyFile: isOther ? formerKeyFile : undefined,
  };
}

/** Removes the key whose id has this prefix. Never the last one or the one in use. */
export async function removeKey(place: KeyPlace, start: string, options: JobOptions): Promise<RemovedKey> {
  const { repository, passwordReference: reference } = place;
  const keys = await repository.listKeys(options);
  const key = keyByStart(keys, start);
  const others = keys.filter(({ id, isDamaged }) => id !== key.id && !isDamaged);
  // The catalog must name a password that opens, at every moment.
  const catalogReference =
    key.isCurrent || others.length === 0 || reference === undefined
      ? undefined
      : await followCatalog(place, { removedId: key.id, reference });
  await repository.removeKey(key.id, { signal: options.signal });
  return { key, catalogReference };
}

function keyByStart(keys: readonly RepositoryKey[], start: string): RepositoryKey {
  const found = keys.filter(({ id }) => id.startsWith(start.toLowerCase()));
  const [key] = found;
  if (key !== undefined && found.length === 1) return key;
  if (found.length > 1)
    throw new AppError('usage', `Several keys begin with ${quote(start)}`, { hint: 'Write more of the id.' });
  throw new AppError('not-found', `There is no key ${quote(start)}`, { hint: 'See "holdfast key list".' });
}

interface NewlyStored extends AddedKey {
  readonly reference: string;
  readonly password: Uint8Array;
}

async function storeNewKey(place: KeyPlace, request: NewKey, options: JobOptions): Promise<NewlyStored> {
  const { repository, env } = place;
  const { reference, madeFile } = await newReference(place, request);
  try {
    const password = await readPassword(reference, env);
    const key = await repository.addKey(password, { signal: options.signal });
    return { key, keyFile: madeFile, reference, password };
  } catch (error) {
    if (madeFile !== undefined) await rm(madeFile, { force: true });
    throw error;
  }
}

async function newReference(
  place: Pick<KeyPlace, 'repository' | 'catalog' | 'stateDir'>,
  request: NewKey,
): Promise<{ reference: string; madeFile: string | undefined }> {
  if (request.passwordReference !== undefined)
    return { reference: request.passwordReference, madeFile: undefined };
  const name = recordOf(place)?.name ?? (path.basename(place.repository.location) || 'repository');
  const file = request.keyFile ?? (await freeKeyFile(place.stateDir, name));
  await makeKeyFile(file);
  return { reference: `file:${file}`, madeFile: file };
}

function recordOf({
  repository,
  catalog,
}: Pick<KeyPlace, 'repository' | 'catalog'>): RepositoryRecord | undefined {
  return catalog
    .listRepositories()
    .find(({ location, repositoryId }) => location === repository.location && repositoryId === repository.id);
}

interface Following {
  readonly removedId: string;
  /** A password of a key that stays. */
  readonly reference: string;
}

/**
 * Changes the catalog's reference to `reference` when the current one opens nothing once the key is removed.
 */
async function followCatalog(
  place: KeyPlace,
  { removedId, reference }: Following,
): Promise<string | undefined> {
  const { repository, catalog, env } = place;
  const record = recordOf(place);
  if (record === undefined || record.passwordReference === reference) return undefined;
  const opens = await readPassword(record.passwordReference, env, place).then(
    (password) => repository.keyOf(password),
    () => undefined,
  );
  if (opens !== undefined && opens !== removedId) return undefined;
  catalog.saveRepository({ ...record, passwordReference: reference });
  return reference;
}
