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
import { copy, type CopyRequest, type OtherRepository } from './copy.ts';
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
    repairSnapshots: async (request, options = {}) =>
      await repairSnapshots(await openSources(access), request, options),
    async copy({ to, ...request }, options = {}) {
      const sources = await openSources(access);
      return await copy(sources, { ...request, target: await access.openOther(to) }, options);
    },
  };
}

export type {
  AddedKey,
  ChangedKey,
  CopyReport,
  CopyRequest,
  IndexRepairReport,
  LockHolder,
  NewKey,
  OtherRepository,
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

/** Replaces damaged snapshots by new ones, without what is lost. */
async function repairSnapshots(
  sources: SnapshotSources,
  { references, forget, dryRun }: SnapshotRepairRequest,
  options: JobOptions,
): Promise<SnapshotRepairReport> {
  const snapshotIds =
    references.length === 0
      ? undefined
      : chooseSnapshots(references, await findContext(sources, options)).map(({ id }) => id);
  const { signal, onProgress } = options;
  return await sources.repository.repairSnapshots({ snapshotIds, forget, dryRun, signal, onProgress });
}
