import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import type { Catalog, RepositoryRecord } from '../catalog/catalog.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import {
  absoluteStoreOptions,
  type InitOptions,
  parseLocation,
  type Repository,
  type RepositoryAccess,
  type StoreLocation,
} from '../repository/index.ts';
import { takeLease } from '../leases/index.ts';
import { readPassword } from '../lib/password.ts';
import { refuseForeignProgram, storeAccess } from './repository-place.ts';

/** Makes and opens repositories; their format is not known here. */
export interface RepositoryMaker {
  init(access: RepositoryAccess, options?: InitOptions): Promise<Repository>;
  open(access: RepositoryAccess): Promise<Repository>;
  /** True where there is one. */
  has(access: Omit<RepositoryAccess, 'password'>): Promise<boolean>;
}

export interface InitRequest {
  readonly stateDir: string;
  /** Undefined is the existing default repository, else one in the state folder. */
  readonly location: string | undefined;
  /** Of its store; undefined takes the catalog's for this location. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Undefined takes the catalog's name for this location, or makes one up. */
  readonly name?: string | undefined;
  /**
   * Whether it becomes the default of commands; undefined keeps that, and makes it the default when there is
   * none.
   */
  readonly makeDefault?: boolean | undefined;
  /** Undefined makes a random key. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A new repository uses this one's chunker parameters, so that copies between the two share data. */
  readonly chunkerFrom?: (() => Promise<Pick<Repository, 'polynomial' | 'location'>>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface InitReport {
  readonly name: string;
  readonly location: string;
  readonly repositoryId: string;
  /** False when the repository existed already. */
  readonly created: boolean;
  /** True when it is the default of commands. */
  readonly isDefault: boolean;
  /** The default; undefined when there is none. */
  readonly defaultRepository: { readonly name: string; readonly location: string } | undefined;
  /** The key's file, when Holdfast made one. */
  readonly keyFile: string | undefined;
  /**
   * True when the repository shares its file system with the state folder, and so most likely with the
   * volumes.
   */
  readonly sameDisk: boolean;
}

/** Makes the state folder, a key and a repository. Idempotent: takes over what exists, replaces nothing. */
export async function initialize(
  request: InitRequest,
  { catalog, maker }: { catalog: Catalog; maker: RepositoryMaker },
): Promise<InitReport> {
  const { stateDir, env } = request;
  // Two at once would each make a key, and the repository would open with one of them only.
  await using _alone = await takeLease({ stateDir, identity: 'init', name: stateDir, action: 'set up' });
  const plan = await planInit(request, { catalog, maker });
  const { location, options, name, known } = plan;
  const given = request.passwordReference ?? known?.passwordReference;
  const key = given === undefined ? await findOrMakeKey(stateDir, plan) : { reference: given };
  const { reference } = key;
  // A command (`exec:`) that the state folder names runs only if other users cannot write there.
  const writtenIn = request.passwordReference === undefined ? { stateDir } : undefined;
  const password = await readPassword(reference, env, writtenIn);
  const access = { ...storeAccess({ location, options }, request), password: async () => password };
  const like = await request.chunkerFrom?.();
  const settled = { exists: plan.exists, polynomial: like?.polynomial };
  const { repository, created } = await openOrInit(maker, access, settled).catch(async (error) => {
    // Another init has just made it, with a key of its own: our key opens nothing.
    if (key.madeFile !== undefined && isAppError(error, 'wrong-password')) await rm(key.madeFile);
    throw error;
  });
  await using opened = repository;
  if (like !== undefined && opened.polynomial !== like.polynomial)
    throw cutsElsewhere(location, like.location);
  const records = catalog.listRepositories();
  const isDefault = request.makeDefault ?? (known?.isDefault || !records.some((record) => record.isDefault));
  const passwordReference = lasting(reference, known);
  catalog.saveRepository({
    name,
    location,
    repositoryId: opened.id,
    passwordReference,
    isDefault,
    options,
  });
  return {
    name,
    location,
    repositoryId: opened.id,
    created,
    isDefault,
    defaultRepository: catalog
      .listRepositories()
      .filter((record) => record.isDefault)
      .map((record) => ({ name: record.name, location: record.location }))[0],
    keyFile: reference.startsWith(`file:${path.join(stateDir, 'keys')}/`)
      ? reference.slice('file:'.length)
      : undefined,
    sameDisk: plan.kind === 'local' && (await stat(location)).dev === (await stat(stateDir)).dev,
  };
}

interface InitPlan {
  readonly kind: StoreLocation['kind'];
  readonly location: string;
  readonly options: Readonly<Record<string, string>> | undefined;
  readonly name: string;
  readonly known: RepositoryRecord | undefined;
  /** True when a repository exists already. */
  readonly exists: boolean;
}

async function planInit(
  request: InitRequest,
  { catalog, maker }: { catalog: Catalog; maker: RepositoryMaker },
): Promise<InitPlan> {
  const { kind, text: location } = parseLocation(chooseLocation(request, catalog));
  const known = catalog.listRepositories().find((record) => record.location === location);
  const where = { cwd: process.cwd(), home: request.env['HOME'] };
  const options = request.options ? absoluteStoreOptions(kind, request.options, where) : known?.options;
  const name = chooseName(request, { catalog, known, location });
  if (kind === 'local') await refuseForeignFolder(location);
  if (known !== undefined && (request.location === undefined || request.options === undefined))
    await refuseForeignProgram({ location, options }, request.stateDir);
  const exists = await maker.has(storeAccess({ location, options }, request));
  if (request.location === undefined && known !== undefined && !exists) throw repositoryGone(location);
  return { kind, location, options, name, known, exists };
}

interface Naming {
  readonly catalog: Catalog;
  readonly known: RepositoryRecord | undefined;
  readonly location: string;
}

function chooseName({ name }: InitRequest, { catalog, known, location }: Naming): string {
  if (name === undefined) return known?.name ?? freeName(catalog, location);
  if (known !== undefined && known.name !== name) {
    throw new AppError(
      'exists',
      `The repository ${quote(location)} is known already, as ${quote(known.name)}`,
      {
        hint: `Give it another name with "holdfast repo rm ${known.name}" first: nothing of what it holds is lost.`,
      },
    );
  }
  const other = catalog.listRepositories().find((record) => record.name === name);
  if (other !== undefined && other.location !== location) {
    throw new AppError(
      'exists',
      `There is a repository ${quote(name)} already, at ${quote(other.location)}`,
      {
        hint: 'Choose another name, or forget that one with "holdfast repo rm".',
      },
    );
  }
  return name;
}

function chooseLocation({ location, stateDir }: InitRequest, catalog: Catalog): string {
  const records = catalog.listRepositories();
  // --repo takes names too.
  if (location !== undefined) return records.find(({ name }) => name === location)?.location ?? location;
  return records.find((record) => record.isDefault)?.location ?? path.join(stateDir, 'repository');
}

/** A password that came from the environment stays a reference to it: the catalog holds no secrets. */
function lasting(reference: string, known: { readonly passwordReference: string } | undefined): string {
  return reference.startsWith('env:') && known !== undefined ? known.passwordReference : reference;
}

function cutsElsewhere(location: string, like: string): AppError {
  return new AppError(
    'exists',
    `The repository ${quote(location)} is there, and cuts content in other places`,
    {
      detail: `It cannot be made to cut as ${quote(like)} does: that is settled when a repository is made.`,
      hint: 'Copies work all the same, only what both save by themselves is stored twice. Or make a new one elsewhere.',
    },
  );
}

type Access = Parameters<RepositoryMaker['open']>[0];

async function openOrInit(
  maker: RepositoryMaker,
  access: Access,
  { exists, polynomial }: { readonly exists: boolean; readonly polynomial: bigint | undefined },
): Promise<{ repository: Repository; created: boolean }> {
  if (!exists) {
    try {
      return { repository: await maker.init(access, { polynomial }), created: true };
    } catch (error) {
      // Unless another init has made one meanwhile.
      if (!isAppError(error, 'exists') || !(await maker.has(access))) throw error;
    }
  }
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

/**
 * A known repository that is gone most likely lies on a disk that is not mounted: none is made in its place.
 */
function repositoryGone(location: string): AppError {
  return new AppError('not-found', `The repository ${quote(location)} is not there any more`, {
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

/** What a killed init may have made: the config comes last. */
const beginnings = new Set(['keys', 'locks', 'snapshots', 'index', 'data']);

async function listFolder(location: string): Promise<string[]> {
  try {
    // A fresh ext4 disk counts as empty, and so does a file that a killed init was writing.
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
  // The last folder, bucket or host in the location.
  const base = location.split(/[/:@]/).findLast((part) => part !== '') ?? 'repository';
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.has(name)) return name;
  }
}

/**
 * A key of 256 random bits as text, so that it can be printed and typed. An existing one is kept: it may be
 * in use.
 */
async function findOrMakeKey(
  stateDir: string,
  { name, location, exists: isThere }: InitPlan,
): Promise<{ readonly reference: string; readonly madeFile?: string }> {
  const folder = path.join(stateDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `${name.replace(/[^a-zA-Z0-9_.-]/g, '_')}.key`);
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  if (exists) return { reference: `file:${file}` };
  if (isThere) {
    throw new AppError(
      'usage',
      `The repository ${quote(location)} is there already, and its password is not known`,
      {
        hint: 'Take it over with its password: --password-file FILE, --password-command COMMAND or HOLDFAST_PASSWORD.',
      },
    );
  }
  await writeDurably(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  return { reference: `file:${file}`, madeFile: file };
}
