import type {
  CopyReport,
  IndexRepairReport,
  LockHolder,
  PackRepairReport,
  RepairedSnapshot,
  RepositoryKey,
  SnapshotRepairReport,
  UnlockReport,
} from '../repository/index.ts';
import { copy, type CopyParts, type CopyRequest, type OtherRepository } from './copy.ts';
import {
  type AddedKey,
  addKey,
  type ChangedKey,
  changeKey,
  type KeyParts,
  type NewKey,
  type RemovedKey,
  removeKey,
} from './key.ts';
import { type JobOptions } from '../activity/index.ts';
import { repairSnapshots, type SnapshotRepairRequest } from './repair.ts';

/** Maintains the repository itself. */
export interface Upkeep {
  /** Oldest first. */
  listKeys(options?: JobOptions): Promise<RepositoryKey[]>;
  addKey(asked: NewKey, options?: JobOptions): Promise<AddedKey>;
  /** Replaces the key in use by a new one. */
  changeKey(asked: NewKey, options?: JobOptions): Promise<ChangedKey>;
  /** Removes the key whose id has this prefix: never the last one or the one in use. */
  removeKey(start: string, options?: JobOptions): Promise<RemovedKey>;
  /** Removes stale locks, or all of them. */
  unlock(request: UnlockRequest, options?: JobOptions): Promise<UnlockReport>;
  /** Rebuilds the index from the packs. */
  repairIndex(request: IndexRepairRequest, options?: JobOptions): Promise<IndexRepairReport>;
  /** Saves the whole parts of damaged packs, and removes the packs. */
  repairPacks(request: PackRepairRequest, options?: JobOptions): Promise<PackRepairReport>;
  /** Replaces damaged snapshots by new ones, without what is lost. */
  repairSnapshots(request: SnapshotRepairRequest, options?: JobOptions): Promise<SnapshotRepairReport>;
  /** Copies snapshots into another repository. */
  copy(request: CopyRequest, options?: JobOptions): Promise<CopyReport>;
}

export interface UpkeepParts extends KeyParts, CopyParts {}

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

export function openUpkeep(parts: UpkeepParts): Upkeep {
  return {
    async listKeys(options = {}) {
      return await (await parts.repository()).listKeys(options);
    },
    addKey: async (request, options = {}) => await addKey(parts, request, options),
    changeKey: async (request, options = {}) => await changeKey(parts, request, options),
    removeKey: async (request, options = {}) => await removeKey(parts, request, options),
    async unlock(request, options = {}) {
      return await (await parts.repository()).unlock({ ...request, ...options });
    },
    async repairIndex(request, { signal, onProgress } = {}) {
      return await (await parts.repository()).repairIndex({ ...request, signal, onProgress });
    },
    async repairPacks(request, { signal, onProgress } = {}) {
      return await (await parts.repository()).repairPacks({ ...request, signal, onProgress });
    },
    repairSnapshots: async (request, options = {}) => await repairSnapshots(parts, request, options),
    copy: async (request, options = {}) => await copy(parts, request, options),
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
