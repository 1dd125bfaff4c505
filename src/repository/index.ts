/** The repository: encrypted, deduplicated snapshots in the restic format. This is its public face. */
export type {
  CheckOptions,
  CheckReport,
  LockHolder,
  Progress,
  RemoveKeyOptions,
  Repository,
  RepositoryAccess,
  RepositoryKey,
  RestoreOptions,
  RestoreResult,
  SaveOptions,
  SaveResult,
  SnapshotEntry,
  TreeSource,
  UnlockOptions,
  UnlockReport,
  WorkOptions,
} from './types.ts';
export { initRepository, openRepository } from './open-repository.ts';
