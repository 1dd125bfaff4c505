import type { ByteString } from '../model/byte-string.ts';
import type { AppError } from '../model/errors.ts';
import type { Entry } from '../model/entry.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import type {
  Grade,
  GradeEvidence,
  InFlight,
  SaveProblem,
  Snapshot,
  SnapshotSummary,
  VolumeDescription,
} from '../model/snapshot.ts';
import type { CopyOptions, CopyReport } from './copy/copy-types.ts';
import type { PruneLimits, PruneSummary } from './prune/prune-types.ts';
import type {
  IndexRepairOptions,
  IndexRepairReport,
  PackRepairOptions,
  PackRepairReport,
  SnapshotRepairOptions,
  SnapshotRepairReport,
} from './repair/repair-types.ts';
import type { RepositoryStats } from './stats/stats-types.ts';

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

export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at most ten times a second. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface ListOptions extends WorkOptions {
  readonly onDamaged?: ((id: string, error: AppError) => void) | undefined;
}

/** How far a job is. Totals are undefined while they are not known yet. */
export interface Progress {
  readonly phase: string;
  readonly filesDone: number;
  readonly filesTotal: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal: number | undefined;
  /** What is at work now, for people. */
  readonly current: string | undefined;
}

/** What a snapshot is made of. */
export type TreeSource =
  | { readonly kind: 'directory'; readonly root: ByteString }
  /** Depth first, a directory before what is in it, the root ('') first; as tar streams of container engines are. */
  | {
      readonly kind: 'entries';
      readonly entries: AsyncIterable<{ entry: Entry; body: AsyncIterable<Uint8Array> }>;
      /** For a stream whose times are whole seconds: the exact times, undefined for what is gone meanwhile. */
      readonly readTimes?:
        | ((paths: readonly ByteString[]) => Promise<readonly (bigint | undefined)[]>)
        | undefined;
    };

/** What the client of a database prints: of unknown length, and whole only when it ends without an error. */
export interface DumpStream {
  /** File name in the snapshot. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A dump that is durable in the repository, until a prune finds that no snapshot has it. */
export interface StoredDump {
  readonly name: string;
  readonly size: number;
  /** Ids of its blobs. */
  readonly content: readonly string[];
}

export interface SaveOptions extends WorkOptions {
  readonly source: TreeSource;
  /** Dumps of what `source` is the files of. `conflict` when one was pruned meanwhile. */
  readonly dumps?: readonly StoredDump[] | undefined;
  readonly volume: VolumeDescription;
  readonly parent?: Snapshot | undefined;
  readonly tags: readonly string[];
  readonly hostname: string;
  /** When the backup began, in milliseconds since 1970. */
  readonly timeMs: number;
  /** A function is asked when everything is read: only then it is known who could write meanwhile. */
  readonly grade: Grade | (() => Promise<Grade>);
  /** Why it has that grade, for the record; asked after it. */
  readonly evidence?: ((seen: InFlight | undefined) => GradeEvidence | undefined) | undefined;
  /** What the snapshots share that are taken at the same still moment. */
  readonly restorePoint?: string | undefined;
  /** The patterns, as recorded in the snapshot. */
  readonly excludePatterns: readonly string[];
  /** True for a path, relative to the source's root, that is left out with everything below. */
  readonly isExcluded?: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  /** What the way to the data has lost; complete when everything is read. Becomes part of the result's problems. */
  readonly lost?: readonly SaveProblem[] | undefined;
  /** What the way to the data could not carry (`times are whole seconds`). */
  readonly limits?: readonly string[] | undefined;
  /** Read and count, but store nothing. */
  readonly dryRun?: boolean | undefined;
}

/** How the data of a save is kept still while it is read. */
export interface StillMoment {
  /**
   * Goes through directories while they are in use first, once or several times. When they are still, only what changed
   * since is read.
   */
  readonly liveFirst: boolean;
  /** Clones what is large when it is still, where the file system can, and reads it afterwards. */
  readonly clones: boolean;
  /**
   * Makes the data still. Returns the moment that the snapshots are of, in milliseconds since 1970. `prepare` is what takes
   * its time and need not be done while it is still; to be called as late as possible before that.
   */
  begin(prepare: () => Promise<void>): Promise<number>;
  /** Nothing has to be still any more. Called once `begin` was, after a failure too. */
  end(): Promise<void>;
}

export interface SaveResult {
  /** Undefined for a dry run. */
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary;
  /** What was not saved as it is, or not at all. A result with problems is partly done. */
  readonly problems: readonly SaveProblem[];
}

/** An entry of a snapshot; its path is relative to where the walk began. */
export interface SnapshotEntry extends Entry {
  /** Equal for files of equal content and for directories of equal trees, within one repository. */
  readonly contentKey: string;
  /** Nanoseconds since 1970; 0 when unknown. */
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

export interface RestoreOptions extends WorkOptions {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root; '' is all of it. A file is restored as TARGET itself. */
  readonly path: ByteString;
  /** Must not exist, or be an empty directory: restoring never merges. */
  readonly target: ByteString;
  /** Other owners than those that were saved. */
  readonly mapOwner?: OwnerMap | undefined;
  /** A directory that is likely to have the same files: what they have in common is taken from there, verified. It is only read. */
  readonly like?: ByteString | undefined;
}

export interface RestoreResult {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  /** So much was taken from `like`. */
  readonly bytesTaken?: number | undefined;
  /** Metadata that this process may not set (owner without the right, trusted xattrs), one line each. */
  readonly problems: readonly SaveProblem[];
}

export interface CheckOptions extends WorkOptions {
  /** 0 checks the structure only, 100 reads and verifies every byte. */
  readonly readDataPercent: number;
  /** Checks these only, with the data that they need, and not the rest of the repository. */
  readonly snapshotIds?: readonly string[] | undefined;
}

export interface CheckReport {
  readonly snapshots: number;
  readonly packs: number;
  readonly blobs: number;
  readonly bytesRead: number;
  /** Empty means: whole. Each line names the damaged thing. */
  readonly errors: readonly string[];
  /** Harmless leftovers, such as packs that an interrupted backup left. */
  readonly notes: readonly string[];
  /** Ids of the snapshots that can't be restored whole. */
  readonly damagedSnapshots: readonly string[];
  /** Ids of the others: as far as was looked, they can be restored whole. */
  readonly wholeSnapshots: readonly string[];
}

/** One of the passwords' files that unlock a repository. All of them open the same data. */
export interface RepositoryKey {
  /** 64 hex digits. */
  readonly id: string;
  /** The one that opened the repository. */
  readonly isCurrent: boolean;
  /** A damaged one opens nothing; what else is said of it is empty. */
  readonly isDamaged: boolean;
  /** Who added it, where and when (RFC 3339), as its file says; for people only. */
  readonly username: string;
  readonly hostname: string;
  readonly created: string;
}

export interface RemoveKeyOptions {
  readonly signal?: AbortSignal | undefined;
  /** A password of another key, which takes the place of the one in use. It is proven to open before anything is removed. */
  readonly instead?: Uint8Array | undefined;
}

/** Who holds a lock, as the lock says. */
export interface LockHolder {
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339; it is renewed every few minutes. */
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** False for a lock that is damaged: nothing else is known of it. */
  readonly isReadable: boolean;
  /** Why nobody can hold it any more; undefined when somebody may. */
  readonly stale: string | undefined;
}

export interface UnlockOptions extends WorkOptions {
  /** Removes locks too that somebody may hold: what they do then may come to nothing, or destroy what others do. */
  readonly all: boolean;
  /** Says what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface UnlockReport {
  readonly removed: readonly LockHolder[];
  readonly kept: readonly LockHolder[];
}

export interface RemoveSnapshotsOptions extends WorkOptions {
  /** Ids of snapshots that must still be there: whoever chose what to remove did so because these stay. */
  readonly staying?: readonly string[] | undefined;
}

export interface TagChange {
  /** Replaces all tags, before those of `add` and `remove`. */
  readonly set?: readonly string[] | undefined;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface FindOptions extends WorkOptions {
  /** The answers come in this order. */
  readonly snapshots: readonly Snapshot[];
  /** Asked for each entry; its path is below the snapshot's data root. */
  readonly matches: (entry: SnapshotEntry) => boolean;
  /** True when `matches` does not ask where an entry lies: trees that snapshots share are then searched once only. */
  readonly isAnywhere: boolean;
}

export interface StatsOptions extends WorkOptions {
  /** Each oldest first. */
  readonly groups: readonly (readonly Snapshot[])[];
}

export interface PruneOptions extends WorkOptions, PruneLimits {}

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

  /** The same for several that are still at the same moment, all of them or none: `signal` and `dryRun` are the first's. */
  saveTogether(saves: readonly SaveOptions[], moment: StillMoment): Promise<SaveResult[]>;

  /** Depth first, sorted by bytes, `path` itself first. `not-found` when there is no such path. */
  walk(
    snapshot: Snapshot,
    path: ByteString,
    options?: WorkOptions & { readonly depth?: number },
  ): AsyncIterable<SnapshotEntry>;

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

  /** Removes the locks that nobody can hold any more. Takes no lock itself. */
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
