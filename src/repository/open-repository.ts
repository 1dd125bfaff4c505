import { hash } from 'node:crypto';
import { hostname } from 'node:os';
import { readdir } from 'node:fs/promises';
import { readUserNames } from '../lib/user-names.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { openCompressor } from './crypto/compression.ts';
import { type KeyFile, newMasterKey, openMasterKey, sealMasterKey } from './crypto/key-file.ts';
import { type MasterKey, Sealer } from './crypto/seal.ts';
import { loadConfig, newConfig, type RepositoryConfig, saveConfig } from './format/config-file.ts';
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
  const origin = {
    created: new Date().toISOString(),
    username: readUserNames().user(process.getuid?.() ?? 0),
    hostname: hostname(),
  };
  const keyFile = Buffer.from(JSON.stringify(await sealMasterKey(masterKey, password, origin)));
  // The config comes last: a directory without it is no repository yet, and init can be run again.
  await store.save('keys', hash('sha256', keyFile), keyFile);
  const config = newConfig();
  await saveConfig(store, new Sealer(masterKey), config);
  return assemble({ store, address, masterKey, config });
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
  const masterKey = await findMasterKey(store, access);
  const config = await loadConfig(store, new Sealer(masterKey), { signal: access.signal });
  return assemble({ store, address, masterKey, config });
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

async function findMasterKey(store: Store, access: RepositoryAccess): Promise<MasterKey> {
  const files = await store.list('keys', { signal: access.signal });
  if (files.length === 0) {
    throw new AppError('integrity', `Repository "${store.location}" has no key files`, {
      hint: 'Restore the folder "keys" from a copy of the repository. Without a key nobody can read it.',
    });
  }
  const password = await access.password();
  const damaged: string[] = [];
  for (const { name } of files) {
    const bytes = await store.load('keys', name, undefined, { signal: access.signal });
    const file = hash('sha256', bytes) === name ? parseKeyFile(bytes) : undefined;
    const key = file && (await openMasterKey(file, password));
    if (key) return key;
    if (!file) damaged.push(name);
  }
  if (damaged.length === files.length) {
    throw new AppError('integrity', `Every key file of repository "${store.location}" is damaged`, {
      hint: 'Restore the folder "keys" from a copy of the repository.',
    });
  }
  throw new AppError('wrong-password', `The password does not open repository "${store.location}"`, {
    detail: damaged.length > 0 ? `${damaged.length} of ${files.length} key files are damaged.` : undefined,
    hint: 'Look at --password-file, HOLDFAST_PASSWORD_FILE, HOLDFAST_PASSWORD_COMMAND and HOLDFAST_PASSWORD.',
  });
}

function parseKeyFile(bytes: Buffer): KeyFile | undefined {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && 'kdf' in parsed ? (parsed as KeyFile) : undefined;
  } catch {
    return undefined;
  }
}

interface OpenedParts {
  readonly store: Store;
  readonly address: StoreAddress;
  readonly masterKey: MasterKey;
  readonly config: RepositoryConfig;
}

function assemble({ store, address, masterKey, config }: OpenedParts): Repository {
  const codec = { store, sealer: new Sealer(masterKey), compressor: openCompressor() };
  return new ResticRepository({ codec, address, masterKey, config });
}

function addressOf(location: string): StoreAddress {
  return { kind: 'local', directory: location };
}
