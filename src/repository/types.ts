import type { ByteString } from '../model/byte-string.ts';
import type { AppError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type {
  CheckOptions,
  CheckReport,
  CopyOptions,
  CopyReport,
  FindOptions,
  IndexRepairOptions,
  IndexRepairReport,
  ListOptions,
  PackRepairOptions,
  PackRepairReport,
  PruneOptions,
  PruneSummary,
  RemoveKeyOptions,
  RemoveSnapshotsOptions,
  RepositoryKey,
  RepositoryStats,
  RestoreOptions,
  RestoreResult,
  SnapshotEntry,
  SnapshotRepairOptions,
  SnapshotRepairReport,
  StatsOptions,
  TagChange,
  UnlockOptions,
  UnlockReport,
  WorkOptions,
} from './requests.ts';
import type {
  DumpStream,
  SaveOptions,
  SaveResult,
  SaveSession,
  SaveSessionOptions,
  StoredDump,
  TreeToSave,
} from './save/save-types.ts';

/** How to reach a repository. */
export interface RepositoryAccess {
  /** The location, as `parseLocation` reads it: a directory, `s3:`, `sftp:`, `rest:` or `rclone:`. */
  readonly location: string;
  /** Options of the store, by name. Secrets are references (`file:`, `env:`, `exec:`). */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Resolves a reference. Needed only where an option holds one. */
  readonly readSecret?: ((reference: string) => Promise<string>) | undefined;
  /** The environment with credentials and proxies; the process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** A folder for copies of the indexes and trees of remote repositories; undefined keeps none. */
  readonly cacheDir?: string | undefined;
  /** Called before each retry with the reason why the store could not be reached. */
  readonly onRetry?: ((error: AppError) => void) | undefined;
  /** The purpose, if known, so that workers can be started early. */
  readonly purpose?: 'restore' | undefined;
  /** Called once; returns the password without a line end. */
  readonly password: () => Promise<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface WalkOptions extends WorkOptions {
  readonly depth?: number;
  /** Reads the folder of saved configuration, see `SaveOptions.config`, instead of the data. */
  readonly inConfig?: boolean | undefined;
}

/**
 * An unlocked repository in the restic format, version 2. Safe to use alongside other processes, restic's
 * included.
 */
export interface Repository extends AsyncDisposable {
  /** 64 hex digits, from the repository's config file. */
  readonly id: string;
  readonly location: string;
  /**
   * Decides where content is cut: repositories with the same polynomial cut the same data in the same places.
   */
  readonly polynomial: bigint;

  /** Oldest first. A snapshot with a damaged record is left out, and reported. */
  listSnapshots(options?: ListOptions): Promise<Snapshot[]>;

  /**
   * Stores a stream for a later `save`: a dump is made while a database runs, before its data is made still.
   * Memory is bounded. When the stream throws, nothing refers to the stored part.
   */
  storeDump(dump: DumpStream, options?: WorkOptions): Promise<StoredDump>;

  /** The dumps of a snapshot, for `readFile`; their paths are their names. */
  listDumps(snapshot: Snapshot, options?: WorkOptions): Promise<SnapshotEntry[]>;

  /**
   * Saves a tree as a snapshot. On return everything is durable. On cancel or error no snapshot exists; what
   * was stored is indexed where possible, and the next run continues from it.
   */
  save(options: SaveOptions): Promise<SaveResult>;

  /**
   * Begins to save several trees together; the caller keeps their data still. Holds a lock until the session
   * ends.
   */
  beginSave(trees: readonly TreeToSave[], options?: SaveSessionOptions): Promise<SaveSession>;

  /** Depth first, sorted by bytes, `path` itself first. `not-found` when the path does not exist. */
  walk(snapshot: Snapshot, path: ByteString, options?: WalkOptions): AsyncIterable<SnapshotEntry>;

  /** The bytes of a file entry from `walk`, verified. The holes of a sparse file are read as zeros. */
  readFile(snapshot: Snapshot, entry: SnapshotEntry, options?: WorkOptions): AsyncIterable<Uint8Array>;

  /** Restores below `target`. On error or cancel the caller removes what was written. */
  restore(options: RestoreOptions): Promise<RestoreResult>;

  check(options: CheckOptions): Promise<CheckReport>;

  /** Oldest first, including damaged ones. */
  listKeys(options?: WorkOptions): Promise<RepositoryKey[]>;

  /** The id of the key that a password opens; undefined when there is none. */
  keyOf(password: Uint8Array, options?: WorkOptions): Promise<string | undefined>;

  /** On return the key is durable, and was read back and opened. */
  addKey(password: Uint8Array, options?: WorkOptions): Promise<RepositoryKey>;

  /**
   * Permanent. `conflict` for the last key, `in-use` for the current one, unless `instead` opens another. The
   * removed password still opens older copies of the repository.
   */
  removeKey(id: string, options?: RemoveKeyOptions): Promise<void>;

  /**
   * Makes the index agree with the packs: damaged, missing or wrong index files are rebuilt. Needs an
   * exclusive lock. A kill leaves old and new index files, which is harmless. Idempotent.
   */
  repairIndex(options?: IndexRepairOptions): Promise<IndexRepairReport>;

  /**
   * Copies the intact blobs of damaged packs into new packs, and removes the damaged ones once that is
   * durable. Needs an exclusive lock and an intact index. `not-found` for a pack that is neither stored nor
   * indexed.
   */
  repairPacks(options: PackRepairOptions): Promise<PackRepairReport>;

  /**
   * Replaces damaged snapshots by new ones without the lost data, with the tag `repaired`. Needs an exclusive
   * lock. `integrity` while it is uncertain what is lost: repair the index first. Content is not read: repair
   * damaged packs first.
   */
  repairSnapshots(options: SnapshotRepairOptions): Promise<SnapshotRepairReport>;

  /**
   * Copies snapshots into another repository with any key and store. Existing data is not copied again, so it
   * can be repeated, also after a kill. Other processes may use both repositories meanwhile. A damaged
   * snapshot is reported and left out.
   */
  copyTo(target: Repository, options?: CopyOptions): Promise<CopyReport>;

  /** Removes the locks that no process can still hold. Takes no lock itself. */
  unlock(options: UnlockOptions): Promise<UnlockReport>;

  /** Permanent for the snapshot record; its data stays until a prune. */
  removeSnapshot(id: string, options?: WorkOptions): Promise<void>;

  /**
   * Removes several snapshots under an exclusive lock (`locked` when other processes use the repository).
   * `conflict`, and nothing is removed, when one of `staying` no longer exists. A snapshot that is already
   * gone is no error.
   */
  removeSnapshots(ids: readonly string[], options?: RemoveSnapshotsOptions): Promise<void>;

  /**
   * Replaces a snapshot by one with other tags, and returns it; the same one when nothing changes. The new
   * record is durable before the old one is removed, and remembers the snapshot's original id.
   */
  changeTags(id: string, change: TagChange, options?: WorkOptions): Promise<Snapshot>;

  /** Entries of several snapshots, without the root itself. */
  find(options: FindOptions): AsyncIterable<{ readonly snapshot: Snapshot; readonly entry: SnapshotEntry }>;

  /**
   * How much is stored, and how much of that groups of snapshots need. `integrity` when their trees cannot be
   * read.
   */
  stats(options: StatsOptions): Promise<RepositoryStats>;

  /** What `prune` would do now; changes nothing. */
  planPrune(options: PruneOptions): Promise<PruneSummary>;

  /**
   * Removes the data that no snapshot needs, under an exclusive lock (`locked` when other processes use the
   * repository). `integrity`, and nothing is removed, when anything that decides what is needed is damaged or
   * missing. A kill or cancel at any moment leaves an intact repository, and the next prune continues from
   * there.
   */
  prune(options: PruneOptions): Promise<PruneSummary>;
}

export type * from './requests.ts';
export type * from './save/save-types.ts';
