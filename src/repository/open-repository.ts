import { readdir } from 'node:fs/promises';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { openCompressor } from './crypto/compression.ts';
import { newMasterKey } from './crypto/key-file.ts';
import { type MasterKey, Sealer } from './crypto/seal.ts';
import { loadConfig, newConfig, type RepositoryConfig, saveConfig } from './format/config-file.ts';
import { findKey } from './keys/find-key.ts';
import { storeKey } from './keys/key-store.ts';
import { ResticRepository } from './restic-repository.ts';
import { openStore, type StoreAddress } from './stores/open-store.ts';
import type { Store } from './stores/store.ts';
import type { Repository, RepositoryAccess } from './types.ts';

/** Makes a repository in an empty or missing directory, and opens it. `exists` when there is one. */
export async function initRepository(access: RepositoryAccess): Promise<Repository> {
  const address = addressOf(access.location);
  const store = openStore(address);
  await refuseForeignFiles(access.location);
  const password = await access.password();
  await store.create({ signal: access.signal });
  await removeUnfinished(store);
  const masterKey = newMasterKey();
  // The config comes last: a directory without it is no repository yet, and init can be run again.
  const { id: keyId } = await storeKey(store, { masterKey, password }, { signal: access.signal });
  const config = newConfig();
  await saveConfig(store, new Sealer(masterKey), config);
  return assemble({ store, address, masterKey, config, keyId });
}

/** Keys that an init which was killed has left would open nothing. Where anything is stored, they are all that opens it. */
async function removeUnfinished(store: Store): Promise<void> {
  if (await holdsAnything(store)) throw configMissing(store.location);
  for (const { name } of await store.list('keys')) await store.remove('keys', name);
}

async function holdsAnything(store: Store): Promise<boolean> {
  for (const type of ['snapshots', 'index', 'data'] as const) {
    const files = await store.list(type).catch((error: unknown) => {
      if (isAppError(error, 'not-found')) return [];
      throw error;
    });
    if (files.length > 0) return true;
  }
  return false;
}

function configMissing(location: string): AppError {
  return new AppError('integrity', `The config file of repository "${location}" is missing`, {
    hint: 'Restore the file "config" from a copy of the repository: it is small and never changes.',
  });
}

/** Opens a repository. `not-found` when there is none, `wrong-password` when no key takes the password. */
export async function openRepository(access: RepositoryAccess): Promise<Repository> {
  const address = addressOf(access.location);
  const store = openStore(address);
  if (!(await hasConfig(store))) {
    if (await holdsAnything(store)) throw configMissing(access.location);
    throw new AppError('not-found', `There is no repository in "${access.location}"`, {
      hint: 'Look at the location for a typo, or make a repository there with "holdfast init --repo".',
    });
  }
  const { id: keyId, masterKey } = await findKey(store, access.password, { signal: access.signal });
  const config = await loadConfig(store, new Sealer(masterKey), { signal: access.signal });
  return assemble({ store, address, masterKey, config, keyId });
}

async function hasConfig(store: Store): Promise<boolean> {
  try {
    return await store.exists('config', '');
  } catch (error) {
    if (isAppError(error, 'not-found')) return false;
    throw error;
  }
}

/** What has no config must be empty, or the beginning of a repository. */
async function refuseForeignFiles(location: string): Promise<void> {
  const ours = new Set(['keys', 'locks', 'snapshots', 'index', 'data', 'config', 'lost+found']);
  const foreign = (await namesIn(location)).filter((name) => !ours.has(name) && !name.startsWith('tmp-'));
  if (foreign.length > 0) {
    throw new AppError('exists', `Cannot make a repository in "${location}": the directory is not empty`, {
      detail: `It holds "${foreign[0]}"${foreign.length > 1 ? ` and ${foreign.length - 1} more` : ''}.`,
      hint: 'Choose a directory that does not exist, or an empty one.',
    });
  }
}

async function namesIn(location: string): Promise<string[]> {
  try {
    return await readdir(location);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    if (errnoOf(error) === 'ENOTDIR') {
      throw new AppError(
        'usage',
        `Cannot make a repository in "${location}": it is a file, not a directory`,
        { cause: error },
      );
    }
    throw new AppError('denied', `Cannot look into "${location}": ${errnoOf(error) ?? 'unknown error'}`, {
      cause: error,
    });
  }
}

interface OpenedParts {
  readonly store: Store;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly config: RepositoryConfig;
  readonly keyId: string;
}

function assemble({ store, address, masterKey, config, keyId }: OpenedParts): Repository {
  const codec = { store, sealer: new Sealer(masterKey), compressor: openCompressor() };
  return new ResticRepository({ codec, address, masterKey, config, keyId });
}

function addressOf(location: string): StoreAddress {
  return { kind: 'local', directory: location };
}
