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
  /** Where it lies, as `parseLocation` reads it: a directory, `s3:`, `sftp:`, `rest:` or `rclone:`. */
  readonly location: string;
  /** Of its store, by name. Secrets are references (`file:`, `env:`, `exec:`). */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Reads what a reference leads to. Needed only where an option holds one. */
  readonly readSecret?: ((reference: string) => Promise<string>) | undefined;
  /** Where credentials and proxies are looked for; that of the process unless it is given. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** A folder where copies of the indexes and trees of remote repositories are kept; undefined keeps none. */
  readonly cacheDir?: string | undefined;
  /** Told why the store could not be reached, each time that it is tried again. */
  readonly onRetry?: ((error: AppError) => void) | undefined;
  /** What it is opened for, when that is known: what takes time to start is started early. */
  readonly purpose?: 'restore' | undefined;
  /** Asked once; the bytes are the password without a line end. */
  readonly password: () => Promise<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface WalkOptions extends WorkOptions {
  readonly depth?: number;
  /** In the folder of what its containers need, see `SaveOptions.config`, instead of the data. */
  readonly inConfig?: boolean | undefined;
}

/** A repository in the restic format, version 2, unlocked. Safe to use with other processes, restic's included. */
export interface Repository extends AsyncDisposable {
  /** 64 hex digits, from the repository's config file. */
  readonly id: string;
  readonly location: string;
  /** Where content is cut: two repositories with the same one cut the same data in the same places. */
  readonly polynomial: bigint;

  /** Oldest first. One whose record is damaged is left out, and told. */
  listSnapshots(options?: ListOptions): Promise<Snapshot[]>;

  /**
   * Stores a stream, to be given to `save`: a dump is made while a database runs, and saving may begin when it stands
   * still. Memory is bounded. When the stream throws, nothing refers to what was stored of it.
   */
  storeDump(dump: DumpStream, options?: WorkOptions): Promise<StoredDump>;

  /** The dumps of a snapshot, for `readFile`; their paths are their names. */
  listDumps(snapshot: Snapshot, options?: WorkOptions): Promise<SnapshotEntry[]>;

  /**
   * Saves a tree as a snapshot. When it returns, everything is durable. On cancel or error no snapshot exists,
   * what was stored so far is indexed where possible, and the next run goes on from it.
   */
  save(options: SaveOptions): Promise<SaveResult>;

  /** Begins to save several trees together, whose data the caller keeps still. Holds a lock until the session has ended. */
  beginSave(trees: readonly TreeToSave[], options?: SaveSessionOptions): Promise<SaveSession>;

  /** Depth first, sorted by bytes, `path` itself first. `not-found` when there is no such path. */
  walk(snapshot: Snapshot, path: ByteString, options?: WalkOptions): AsyncIterable<SnapshotEntry>;

  /** The bytes of a file entry from `walk`, verified. For a sparse file too, holes as zeros. */
  readFile(snapshot: Snapshot, entry: SnapshotEntry, options?: WorkOptions): AsyncIterable<Uint8Array>;

  /** Restores below `target`. On error or cancel what was made so far is left for the caller to remove. */
  restore(options: RestoreOptions): Promise<RestoreResult>;

  check(options: CheckOptions): Promise<CheckReport>;

  /** Oldest first, the damaged ones too. */
  listKeys(options?: WorkOptions): Promise<RepositoryKey[]>;

  /** The id of the key that a password opens; undefined when there is none. */
  keyOf(password: Uint8Array, options?: WorkOptions): Promise<string | undefined>;

  /** When it returns, the key is durable, and was read back and opened. */
  addKey(password: Uint8Array, options?: WorkOptions): Promise<RepositoryKey>;

  /**
   * Permanent. `conflict` for the last key, `in-use` for the one in use, unless `instead` opens another. Whoever has the
   * removed password and a copy of the repository from before can still read that copy.
   */
  removeKey(id: string, options?: RemoveKeyOptions): Promise<void>;

  /**
   * Makes the index say what the packs say: index files that are damaged, missing or wrong are made anew. Needs the
   * repository for itself. A kill leaves old and new index files, which is harmless. Idempotent.
   */
  repairIndex(options?: IndexRepairOptions): Promise<IndexRepairReport>;

  /**
   * Copies what is whole in damaged packs into new packs, and removes the damaged ones when that is durable. Needs the
   * repository for itself, and a whole index. `not-found` for a pack that is neither stored nor indexed.
   */
  repairPacks(options: PackRepairOptions): Promise<PackRepairReport>;

  /**
   * Saves new snapshots in the place of damaged ones, without what is lost, with the tag `repaired`. Needs the repository
   * for itself. `integrity` while it is not certain what is lost: the index must be repaired first. Content is not read:
   * damaged packs must be repaired first.
   */
  repairSnapshots(options: SnapshotRepairOptions): Promise<SnapshotRepairReport>;

  /**
   * Copies snapshots into another repository, whatever its key and store. Data that is there is not copied again, so it
   * can be repeated, after a kill too. Both may be worked on meanwhile. A snapshot that is not whole is told and left out.
   */
  copyTo(target: Repository, options?: CopyOptions): Promise<CopyReport>;

  /** Removes the locks that no process can hold any more. Takes no lock itself. */
  unlock(options: UnlockOptions): Promise<UnlockReport>;

  /** Permanent for the snapshot record; data stays until it is pruned. */
  removeSnapshot(id: string, options?: WorkOptions): Promise<void>;

  /**
   * The same for several, with the repository for itself alone (`locked` when others work in it). `conflict`, and nothing
   * is removed, when one that is meant to stay is gone already. What it was told to remove and is gone is no error.
   */
  removeSnapshots(ids: readonly string[], options?: RemoveSnapshotsOptions): Promise<void>;

  /**
   * Puts a snapshot with other tags in the place of this one, and returns it; the same one when nothing changes. Its new
   * record is durable before the old one is removed, and remembers the id that the snapshot had first.
   */
  changeTags(id: string, change: TagChange, options?: WorkOptions): Promise<Snapshot>;

  /** Entries of several snapshots, without the root itself. */
  find(options: FindOptions): AsyncIterable<{ readonly snapshot: Snapshot; readonly entry: SnapshotEntry }>;

  /** How much is stored, and how much of it groups of snapshots need. `integrity` when their trees cannot be read. */
  stats(options: StatsOptions): Promise<RepositoryStats>;

  /** What `prune` would do now; nothing is changed. */
  planPrune(options: PruneOptions): Promise<PruneSummary>;

  /**
   * Removes the data that no snapshot needs, with the repository for itself alone (`locked` when others work in it).
   * `integrity`, and nothing is removed, when anything that tells what is needed is damaged or missing. A kill or a
   * cancel at any moment leaves a whole repository, and the next prune goes on from there.
   */
  prune(options: PruneOptions): Promise<PruneSummary>;
}

export type * from './requests.ts';
export type * from './save/save-types.ts';
