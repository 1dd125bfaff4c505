import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Repository } from '../repository/index.ts';
import { takeLease } from './lease.ts';
import { repositoryLocation } from './find-repository.ts';
import { readPassword } from './password.ts';
import type { RepositoryMaker } from './protection.ts';

export interface InitRequest {
  readonly stateDir: string;
  /** Undefined is the default repository that is there already, else one in the state folder. */
  readonly location: string | undefined;
  /** Undefined makes a random key. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

export interface InitReport {
  readonly name: string;
  readonly location: string;
  readonly repositoryId: string;
  /** False when the repository was there already. */
  readonly created: boolean;
  /** The key's file, when Holdfast made one. */
  readonly keyFile: string | undefined;
  /** True when the repository shares its file system with the state folder, and so most likely with the volumes. */
  readonly sameDisk: boolean;
}

/** Makes the state folder, a key and a repository. May be repeated: what is there is taken over, nothing is replaced. */
export async function initialize(
  request: InitRequest,
  parts: { catalog: Catalog; maker: RepositoryMaker },
): Promise<InitReport> {
  const { stateDir, env, signal } = request;
  // Two at once would each make a key, and the repository would open with one of them only.
  await using _alone = await takeLease({ stateDir, identity: 'init', name: stateDir, action: 'set up' });
  const location = chooseLocation(request, parts.catalog);
  await refuseForeignFolder(location);
  if (request.location === undefined) await refuseMissing(parts.catalog, location);
  const known = parts.catalog.listRepositories().find((record) => record.location === location);
  const name = known?.name ?? freeName(parts.catalog, location);
  const reference =
    request.passwordReference ??
    known?.passwordReference ??
    (await findOrMakeKey({ stateDir, name, location }));
  const password = await readPassword(reference, env);
  const access = { location, password: async () => password, signal };
  const { repository, created } = await openOrInit(parts.maker, access);
  await using opened = repository;
  parts.catalog.saveRepository({
    name,
    location,
    repositoryId: opened.id,
    passwordReference: lasting(reference, known),
    isDefault: true,
  });
  return {
    name,
    location,
    repositoryId: opened.id,
    created,
    keyFile: reference.startsWith(`file:${path.join(stateDir, 'keys')}/`)
      ? reference.slice('file:'.length)
      : undefined,
    sameDisk: (await stat(location)).dev === (await stat(stateDir)).dev,
  };
}

function chooseLocation({ location, stateDir }: InitRequest, catalog: Catalog): string {
  if (location !== undefined) return repositoryLocation(location);
  const known = catalog.listRepositories().find((record) => record.isDefault);
  return known?.location ?? path.join(stateDir, 'repository');
}

/** A password that was given once in the environment stays a reference to it: the catalog holds no secrets. */
function lasting(reference: string, known: { readonly passwordReference: string } | undefined): string {
  return reference.startsWith('env:') && known !== undefined ? known.passwordReference : reference;
}

type Access = Parameters<RepositoryMaker['open']>[0];

async function openOrInit(
  maker: RepositoryMaker,
  access: Access,
): Promise<{ repository: Repository; created: boolean }> {
  if (await isEmptyOrAbsent(access.location)) return { repository: await maker.init(access), created: true };
  try {
    return { repository: await maker.open(access), created: false };
  } catch (error) {
    if (!isAppError(error, 'wrong-password')) throw error;
    throw new AppError(
      'wrong-password',
      `The repository ${quote(access.location)} is there, and this password does not open it`,
      {
        hint: 'Give its own password with --password-file, or choose another folder with --repo.',
        cause: error,
      },
    );
  }
}

/** A repository that was there and is gone most likely lies on a disk that is not mounted: none is made in its place. */
async function refuseMissing(catalog: Catalog, location: string): Promise<void> {
  const isKnown = catalog.listRepositories().some((record) => record.location === location);
  if (!isKnown || !(await isEmptyOrAbsent(location))) return;
  throw new AppError('not-found', `The repository ${quote(location)} is not there any more`, {
    hint: `Mount its disk. To begin anew there: holdfast init --repo ${location}`,
  });
}

async function refuseForeignFolder(location: string): Promise<void> {
  const names = await listFolder(location);
  if (names.includes('config') || names.every((name) => beginnings.has(name))) return;
  throw new AppError('conflict', `Cannot make a repository in ${quote(location)}: it holds other things`, {
    hint: 'Choose an empty folder or one that does not exist yet.',
  });
}

/** What an init that was killed has made: it makes the config last. */
const beginnings = new Set(['keys', 'locks', 'snapshots', 'index', 'data']);

/** True where no repository is yet. */
async function isEmptyOrAbsent(location: string): Promise<boolean> {
  return (await listFolder(location)).every((name) => beginnings.has(name));
}

async function listFolder(location: string): Promise<string[]> {
  try {
    // A fresh ext4 disk is as good as empty, and a file that was being written when it was killed is nothing.
    return (await readdir(location)).filter((name) => name !== 'lost+found' && !name.startsWith('tmp-'));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return [];
    if (errno === 'ENOTDIR')
      throw new AppError('conflict', `Cannot make a repository in ${quote(location)}: it is no directory`);
    throw error;
  }
}

function freeName(catalog: Catalog, location: string): string {
  const taken = new Set(catalog.listRepositories().map((record) => record.name));
  if (taken.size === 0) return 'default';
  const base = path.basename(location) || 'repository';
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.has(name)) return name;
  }
}

interface KeyPlace {
  readonly stateDir: string;
  readonly name: string;
  readonly location: string;
}

/** A key of 256 random bits as text, so that it can be printed and typed. One that is there is kept: it may be in use. */
async function findOrMakeKey({ stateDir, name, location }: KeyPlace): Promise<string> {
  const folder = path.join(stateDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `${name.replace(/[^a-zA-Z0-9_.-]/g, '_')}.key`);
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  if (exists) return `file:${file}`;
  if (!(await isEmptyOrAbsent(location))) {
    throw new AppError(
      'usage',
      `The repository ${quote(location)} is there already, and its password is not known`,
      {
        hint: 'Take it over with its password: --password-file FILE, --password-command COMMAND or HOLDFAST_PASSWORD.',
      },
    );
  }
  await writeDurably(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  return `file:${file}`;
}
