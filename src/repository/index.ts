/** The repository: encrypted, deduplicated snapshots in the restic format. This is its public face. */
export type {
  CheckOptions,
  CheckReport,
  ConfigFile,
  DumpStream,
  FindOptions,
  LockHolder,
  Progress,
  PruneOptions,
  RemoveKeyOptions,
  RemoveSnapshotsOptions,
  Repository,
  RepositoryAccess,
  RepositoryKey,
  RestoreOptions,
  RestoreResult,
  SaveOptions,
  NotKept,
  SaveResult,
  ShownByData,
  SnapshotEntry,
  StatsOptions,
  StillMoment,
  StoredDump,
  TagChange,
  TreeSource,
  UnlockOptions,
  UnlockReport,
  WorkOptions,
} from './types.ts';
export type { CopiedSnapshot, CopyOptions, CopyReport, FailedCopy } from './copy/copy-types.ts';
export type { Amount, PruneLimits, PruneSummary } from './prune/prune-types.ts';
export type {
  IndexRepairOptions,
  IndexRepairReport,
  LostBlob,
  LostEntry,
  PackRepairOptions,
  PackRepairReport,
  RepairedPack,
  RepairedSnapshot,
  SnapshotRepairOptions,
  SnapshotRepairReport,
  UnreadablePack,
} from './repair/repair-types.ts';
export type { GroupStats, RepositoryStats } from './stats/stats-types.ts';
export { hasRepository, type InitOptions, initRepository, openRepository } from './open-repository.ts';
export { parseLocation } from './stores/parse-location.ts';
export type { StoreLocation } from './stores/address.ts';
export {
  absoluteStoreOptions,
  namesProgram,
  storeOptions,
  type StoreOptionValues,
} from './stores/store-options.ts';
