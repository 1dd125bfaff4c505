/** The repository: encrypted, deduplicated snapshots in the restic format. This is its public face. */
export type {
  CheckOptions,
  CheckReport,
  Progress,
  Repository,
  RepositoryAccess,
  RestoreOptions,
  RestoreResult,
  SaveOptions,
  SaveResult,
  SnapshotEntry,
  TreeSource,
  WorkOptions,
} from './types.ts';
export { initRepository, openRepository } from './open-repository.ts';
