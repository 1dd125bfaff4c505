import type {
  CopyReport,
  IndexRepairReport,
  LockHolder,
  PackRepairReport,
  RepairedSnapshot,
  Repository,
  RepositoryKey,
  SnapshotRepairReport,
  UnlockReport,
} from '../repository/index.ts';
import {
  type AddedKey,
  addKey,
  type ChangedKey,
  changeKey,
  type KeyPlace,
  type NewKey,
  type RemovedKey,
  removeKey,
} from './key.ts';
import type { JobOptions } from '../activity/index.ts';
import {
  openSources,
  type SnapshotAccess,
  chooseSnapshots,
  findContext,
  type SnapshotSources,
} from '../snapshots/index.ts';

/** Maintains the repository itself. */
export interface Upkeep {
  /** Oldest first. */
  readonly listKeys: (options?: JobOptions) => Promise<RepositoryKey[]>;
  readonly addKey: (asked: NewKey, options?: JobOptions) => Promise<AddedKey>;
  /** Replaces the key in use by a new one. */
  readonly changeKey: (asked: NewKey, options?: JobOptions) => Promise<ChangedKey>;
  /** Removes the key whose id has this prefix: never the last one or the one in use. */
  readonly removeKey: (start: string, options?: JobOptions) => Promise<RemovedKey>;
  /** Removes stale locks, or all of them. */
  readonly unlock: (request: UnlockRequest, options?: JobOptions) => Promise<UnlockReport>;
  /** Rebuilds the index from the packs. */
  readonly repairIndex: (request: IndexRepairRequest, options?: JobOptions) => Promise<IndexRepairReport>;
  /** Saves the whole parts of damaged packs, and removes the packs. */
  readonly repairPacks: (request: PackRepairRequest, options?: JobOptions) => Promise<PackRepairReport>;
  /** Replaces damaged snapshots by new ones, without what is lost. */
  readonly repairSnapshots: (
    request: SnapshotRepairRequest,
    options?: JobOptions,
  ) => Promise<SnapshotRepairReport>;
  /** Copies snapshots into another repository. */
  readonly copy: (request: CopyRequest, options?: JobOptions) => Promise<CopyReport>;
}

export interface UpkeepAccess
  extends SnapshotAccess, Pick<KeyPlace, 'stateDir' | 'env' | 'passwordReference'> {
  readonly openOther: (request: OtherRepository) => Promise<Repository>;
}

/** A repository other than the configured one. */
export interface OtherRepository {
  /** Its name or its location. */
  readonly repository: string;
  /** `file:/path`, `env:NAME` or `exec:command`; undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
}

export interface CopyRequest {
  readonly to: OtherRepository;
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly dryRun: boolean;
}

export interface IndexRepairRequest {
  readonly readAllPacks: boolean;
  readonly dryRun: boolean;
}

export interface PackRepairRequest {
  /** Ids or their unique prefixes, or all damaged ones. */
  readonly packs: readonly string[] | 'damaged';
  readonly dryRun: boolean;
}

export interface UnlockRequest {
  readonly all: boolean;
  readonly dryRun: boolean;
}

export function openUpkeep(access: UpkeepAccess): Upkeep {
  const { repository, catalog, stateDir, env, passwordReference } = access;
  const keyPlace = async (): Promise<KeyPlace> => {
    return { repository: await repository(), catalog: await catalog(), stateDir, env, passwordReference };
  };
  return {
    async listKeys(options = {}) {
      return await (await repository()).listKeys(options);
    },
    addKey: async (request, options = {}) => await addKey(await keyPlace(), request, options),
    changeKey: async (request, options = {}) => await changeKey(await keyPlace(), request, options),
    removeKey: async (request, options = {}) => await removeKey(await keyPlace(), request, options),
    async unlock(request, options = {}) {
      return await (await repository()).unlock({ ...request, ...options });
    },
    async repairIndex(request, { signal, onProgress } = {}) {
      return await (await repository()).repairIndex({ ...request, signal, onProgress });
    },
    async repairPacks(request, { signal, onProgress } = {}) {
      return await (await repository()).repairPacks({ ...request, signal, onProgress });
    },
    async repairSnapshots({ references, ...request }, options = {}) {
      const sources = await openSources(access);
      const snapshotIds = await idsOf(references, sources, options);
      const { signal, onProgress } = options;
      return await sources.repository.repairSnapshots({ ...request, snapshotIds, signal, onProgress });
    },
    async copy({ to, references, dryRun }, options = {}) {
      const sources = await openSources(access);
      const target = await access.openOther(to);
      const snapshotIds = await idsOf(references, sources, options);
      const { signal, onProgress } = options;
      return await sources.repository.copyTo(target, { snapshotIds, dryRun, signal, onProgress });
    },
  };
}

export type {
  AddedKey,
  ChangedKey,
  CopyReport,
  IndexRepairReport,
  LockHolder,
  NewKey,
  PackRepairReport,
  RemovedKey,
  RepairedSnapshot,
  RepositoryKey,
  SnapshotRepairReport,
  SnapshotRepairRequest,
  UnlockReport,
};

interface SnapshotRepairRequest {
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly forget: boolean;
  readonly dryRun: boolean;
}

/** Undefined for all. */
async function idsOf(
  references: readonly string[],
  sources: SnapshotSources,
  options: JobOptions,
): Promise<string[] | undefined> {
  if (references.length === 0) return undefined;
  return chooseSnapshots(references, await findContext(sources, options)).map(({ id }) => id);
}
