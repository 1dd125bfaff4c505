import type { Catalog, RepositoryRecord } from '../catalog/catalog.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Repository } from '../repository/index.ts';
import { initialize, type InitReport, type RepositoryMaker } from './init.ts';
import { noRepository } from './no-repository.ts';
import { openKnown } from './open-repository.ts';
import type { JobOptions } from '../activity/index.ts';
import { orderSnapshots } from '../snapshots/index.ts';
import type { OtherRepository } from './upkeep.ts';
import { type RepositoriesSaid, withConfigured } from './with-configured.ts';

/** The repositories that Holdfast knows by name. */
export interface Repositories {
  /**
   * Makes a repository, or takes over an existing one, and records it. Repeated with the same name, it
   * changes the options.
   */
  add(request: AddRepositoryRequest, options?: JobOptions): Promise<InitReport>;
  list(): Promise<KnownRepository[]>;
  /** Forgets it. Its data and its key stay. */
  remove(name: string): Promise<KnownRepository>;
  /** Makes it the default of commands. */
  setDefault(name: string): Promise<KnownRepository>;
  /** Opens each, and reports whether it is still the same one; all of them when none is named. */
  check(names: readonly string[], options?: JobOptions): Promise<RepositoryState[]>;
  readonly asJson: { state(state: RepositoryState): object };
}

export interface AddRepositoryRequest {
  readonly name: string;
  readonly location: string;
  /** Of its store; undefined keeps the known ones. */
  readonly options: Readonly<Record<string, string>> | undefined;
  readonly makeDefault: boolean;
  /** Uses another repository's chunker parameters, so that copies between the two share data. */
  readonly chunkerFrom?: OtherRepository | undefined;
}

/** What may be shown of a repository: references to secrets, and no secret. */
export type KnownRepository = RepositoryRecord;

export interface RepositoryState {
  readonly name: string;
  readonly location: string;
  readonly isDefault: boolean;
  /** Undefined when it could not be opened. */
  readonly snapshots: number | undefined;
  /** RFC 3339. */
  readonly newest: string | undefined;
  /** The time to open it and list its snapshots. */
  readonly durationMs: number;
  readonly error: AppError | undefined;
}

export interface RepositoriesAccess {
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The password reference that this command was given for a repository to add. */
  readonly passwordReference: string | undefined;
  readonly catalog: () => Promise<Catalog>;
  /** The content of `holdfast.yaml`. */
  readonly configuration: () => Promise<RepositoriesSaid>;
  readonly maker: RepositoryMaker;
  /** Opens the repository whose chunker parameters a new one takes. */
  readonly openOther: (asked: OtherRepository) => Promise<Pick<Repository, 'polynomial' | 'location'>>;
}

export function openRepositories(access: RepositoriesAccess): Repositories {
  return {
    asJson: { state: stateAsJson },
    async add(request, options = {}) {
      return await addRepository(access, request, options);
    },
    async list() {
      return (await access.catalog()).listRepositories();
    },
    async remove(name) {
      return removeRepository(await access.catalog(), name);
    },
    async setDefault(name) {
      return setDefaultRepository(await access.catalog(), name);
    },
    async check(names, options = {}) {
      return await checkRepositories(access, names, options);
    },
  };
}

function stateAsJson({ error, ...state }: RepositoryState): object {
  return error === undefined ? state : { ...state, error: { code: error.code, message: error.message } };
}

async function addRepository(
  { stateDir, env, passwordReference, catalog, maker, openOther }: Omit<RepositoriesAccess, 'configuration'>,
  request: AddRepositoryRequest,
  { signal }: JobOptions,
): Promise<InitReport> {
  const { name, location, options, makeDefault, chunkerFrom: like } = request;
  refuseBadName(name);
  return await initialize(
    {
      stateDir,
      env,
      passwordReference,
      name,
      location,
      options,
      makeDefault: makeDefault || undefined,
      chunkerFrom: like && (() => openOther(like)),
      signal,
    },
    { catalog: await catalog(), maker },
  );
}

function removeRepository(catalog: Catalog, name: string): KnownRepository {
  const records = catalog.listRepositories();
  const record = recordOf(records, name);
  if (record.isDefault && records.length > 1) {
    throw new AppError('conflict', `Cannot forget the repository ${quote(name)}: it is the default`, {
      hint: 'Make another one the default first: holdfast repo default NAME.',
    });
  }
  catalog.removeRepository(name);
  return record;
}

function setDefaultRepository(catalog: Catalog, name: string): KnownRepository {
  const record = { ...recordOf(catalog.listRepositories(), name), isDefault: true };
  catalog.saveRepository(record);
  return record;
}

export async function checkRepositories(
  access: Pick<RepositoriesAccess, 'stateDir' | 'env' | 'catalog' | 'configuration' | 'maker'>,
  names: readonly string[],
  options: JobOptions,
): Promise<RepositoryState[]> {
  const { stateDir, env, maker } = access;
  const catalog = await access.catalog();
  const listed = catalog.listRepositories();
  if (listed.length === 0) throw await noRepository(stateDir);
  const configuration = await access.configuration();
  const said = withConfigured(listed, configuration, stateDir);
  const records = listed.map((record) => said.find(({ name }) => name === record.name) ?? record);
  const chosen = names.length === 0 ? records : names.map((name) => recordOf(records, name));
  const states: RepositoryState[] = [];
  for (const record of chosen)
    states.push(await stateOf({ stateDir, env, catalog, configuration, maker }, record, options));
  return states;
}

type Known = Pick<RepositoriesAccess, 'stateDir' | 'env' | 'maker'> & {
  readonly catalog: Catalog;
  readonly configuration: RepositoriesSaid;
};

async function stateOf(
  known: Known,
  record: RepositoryRecord,
  options: JobOptions,
): Promise<RepositoryState> {
  const started = performance.now();
  const { name, location, isDefault } = record;
  const state = { name, location, isDefault, snapshots: undefined, newest: undefined };
  const durationMs = (): number => Math.round(performance.now() - started);
  try {
    const found = await lookInto(known, record, options);
    return { ...state, ...found, durationMs: durationMs(), error: undefined };
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return { ...state, durationMs: durationMs(), error };
  }
}

async function lookInto(
  { stateDir, env, catalog, configuration, maker }: Known,
  record: RepositoryRecord,
  { signal }: JobOptions,
): Promise<Pick<RepositoryState, 'snapshots' | 'newest'>> {
  // Its own password, whichever the command was given for another one.
  const asked = {
    repository: record.name,
    passwordReference: undefined,
    stateDir,
    env,
    signal,
  };
  await using repository = await openKnown(asked, {
    catalog,
    configuration,
    open: (access) => maker.open(access),
  });
  const snapshots = await repository.listSnapshots({ signal });
  const { snapshots: ordered, doubts } = orderSnapshots(snapshots, { nowMs: Date.now() });
  const newest = ordered.findLast(({ id }) => doubts.get(id)?.kind !== 'future');
  return { snapshots: snapshots.length, newest: newest?.time };
}

function recordOf(records: readonly RepositoryRecord[], name: string): RepositoryRecord {
  const record = records.find((candidate) => candidate.name === name);
  if (record !== undefined) return record;
  const known = records.map((candidate) => quote(candidate.name)).join(', ');
  throw new AppError('not-found', `There is no repository ${quote(name)}`, {
    hint: known === '' ? 'Add one with "holdfast repo add".' : `There is ${known}.`,
  });
}

/** A name must not look like a location: `--repo` takes both. */
function refuseBadName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/.test(name)) return;
  throw new AppError('usage', `${quote(name)} is no name for a repository`, {
    hint: 'Use letters, digits, "-" and "_": names are told from directories and locations by it.',
  });
}
