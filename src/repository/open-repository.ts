import path from 'node:path';
import { AppError, isAppError } from '../model/errors.ts';
import { openCompressor } from './crypto/compression.ts';
import { newMasterKey } from './crypto/key-file.ts';
import { type MasterKey, Sealer } from './crypto/seal.ts';
import { loadConfig, newConfig, type RepositoryConfig, saveConfig } from './format/config-file.ts';
import { findKey, storeKey } from './keys/key-store.ts';
import { ResticRepository } from './restic-repository.ts';
import { type RestoreWorkers, warmRestoreWorkers } from './restore/restore-workers.ts';
import { openStore, type StoreAddress } from './stores/open-store.ts';
import { parseLocation } from './stores/parse-location.ts';
import { alreadyThere } from './stores/store-errors.ts';
import type { Store } from './stores/store.ts';
import type { Repository, RepositoryAccess } from './types.ts';
import { cacheStore } from './stores/decorators/cache-store.ts';
import { resolveAddress } from './stores/resolve-address.ts';

export interface InitOptions {
  /**
   * Decides where content is cut; taken from another repository, so that copies between the two share data.
   * Random by default.
   */
  readonly polynomial?: bigint | undefined;
}

/** Creates a repository in an empty place, and opens it. `exists` when there is one, or anything else. */
export async function initRepository(
  access: RepositoryAccess,
  { polynomial }: InitOptions = {},
): Promise<Repository> {
  return await withStore(access, async (store, address) => {
    const password = await access.password();
    await store.create({ signal: access.signal });
    const leftKeys = await listUnfinished(store);
    const masterKey = newMasterKey();
    // The config is written last: a place without it holds no repository yet, and init can be repeated.
    const { id: keyId } = await storeKey(store, { masterKey, password }, { signal: access.signal });
    const config = newConfig(polynomial);
    await saveFirstConfig(store, { masterKey, config, keyId });
    // Only now is it certain that these keys open nothing: another init might have been about to use them.
    for (const name of leftKeys) await store.remove('keys', name);
    return await assemble({ store, address, masterKey, config, keyId }, access);
  });
}

/** True where a repository exists. Needs no password. */
export async function hasRepository(access: Omit<RepositoryAccess, 'password'>): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const store = openStore(await addressOf(access), access);
  stack.defer(() => closeStore(store));
  return await hasConfig(store, access.signal);
}

/** The keys that a killed init has left. If anything else is stored, they may be the only way to open it. */
async function listUnfinished(store: Store): Promise<string[]> {
  if (await holdsAnything(store)) throw configMissing(store.location);
  return (await store.list('keys')).map(({ name }) => name);
}

/**
 * Throws `exists` when another init has created its repository in the same place meanwhile; the key is
 * removed then.
 */
async function saveFirstConfig(
  store: Store,
  made: { readonly masterKey: MasterKey; readonly config: RepositoryConfig; readonly keyId: string },
): Promise<void> {
  const { masterKey, config, keyId } = made;
  try {
    await saveConfig(store, new Sealer(masterKey), config);
    // Some servers overwrite despite being asked not to: a config of another key cannot be opened.
    await loadConfig(store, new Sealer(masterKey));
  } catch (error) {
    if (!isAppError(error, 'exists') && !isAppError(error, 'integrity')) throw error;
    // The user must see the error above; a key that stays opens nothing.
    await store.remove('keys', keyId).catch(() => undefined);
    throw alreadyThere(store.location);
  }
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

/** Opens a repository. `not-found` when there is none, `wrong-password` when no key accepts the password. */
export async function openRepository(access: RepositoryAccess): Promise<Repository> {
  return await withStore(access, async (store, address) => {
    if (!(await hasConfig(store, access.signal))) {
      if (await holdsAnything(store)) throw configMissing(store.location);
      throw new AppError('not-found', `There is no repository in "${store.location}"`, {
        hint: 'Look at the location for a typo, or make a repository there with "holdfast init --repo".',
      });
    }
    await using early = new AsyncDisposableStack();
    const workers = access.purpose === 'restore' ? warmRestoreWorkers(address) : undefined;
    early.use(workers);
    const { id: keyId, masterKey } = await findKey(store, access.password, { signal: access.signal });
    const config = await loadConfig(store, new Sealer(masterKey), { signal: access.signal });
    const repository = await assemble({ store, address, masterKey, config, keyId, workers }, access);
    early.move();
    return repository;
  });
}

async function hasConfig(store: Store, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await store.exists('config', '', { signal });
  } catch (error) {
    if (isAppError(error, 'not-found')) return false;
    throw error;
  }
}

/** Opens the store. The repository owns it from then on; without a repository it is closed. */
async function withStore(
  access: RepositoryAccess,
  open: (store: Store, address: StoreAddress) => Promise<Repository>,
): Promise<Repository> {
  const address = await addressOf(access);
  await using stack = new AsyncDisposableStack();
  const store = openStore(address, access);
  stack.defer(() => closeStore(store));
  const repository = await open(store, address);
  stack.move();
  return repository;
}

async function closeStore(store: Store): Promise<void> {
  await store[Symbol.asyncDispose]?.();
}

interface OpenedParts {
  readonly store: Store;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly config: RepositoryConfig;
  readonly keyId: string;
  readonly workers?: RestoreWorkers | undefined;
}

/** The cache folder is named by the repository's id, so it can be used only once that is known. */
async function assemble(parts: OpenedParts, { cacheDir }: RepositoryAccess): Promise<Repository> {
  const { masterKey, config, keyId, workers } = parts;
  const { address, store } = await withCache(parts, cacheDir && path.join(cacheDir, config.id));
  const codec = { store, sealer: new Sealer(masterKey), compressor: openCompressor() };
  return new ResticRepository({ codec, address, masterKey, config, keyId, workers });
}

async function withCache(
  { address, store }: Pick<OpenedParts, 'address' | 'store'>,
  directory: string | undefined,
): Promise<Pick<OpenedParts, 'address' | 'store'>> {
  const maxBytes = address.cacheBytes ?? 0;
  if (directory === undefined || maxBytes === 0) return { address, store };
  const cache = { directory, maxBytes };
  return { address: { ...address, cache }, store: cacheStore(store, cache) };
}

async function addressOf(access: Omit<RepositoryAccess, 'password'>): Promise<StoreAddress> {
  const location = parseLocation(access.location);
  const { options: values = {}, env = process.env, readSecret = refuseReference } = access;
  if (location.kind === 'local' && Object.keys(values).length === 0)
    return { kind: 'local', directory: location.directory };
  return await resolveAddress(location, { env, values, readSecret });
}

function refuseReference(reference: string): Promise<string> {
  const kind = reference.slice(0, reference.indexOf(':'));
  return Promise.reject(
    new AppError('unsupported', `There is no reader here for references of kind "${kind}:"`),
  );
}
