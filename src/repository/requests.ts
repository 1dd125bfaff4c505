import type { ByteString } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import type { AppError } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import type { SaveProblem, Snapshot } from '../model/snapshot.ts';
import type { UnusedLimit } from '../model/unused-limit.ts';

export interface WorkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at most ten times a second. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** How far a job is. Totals are undefined while they are not known yet. */
export interface Progress {
  readonly phase: string;
  readonly filesDone: number;
  readonly filesTotal: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal: number | undefined;
  /** What is being worked on, to show to the user. */
  readonly current: string | undefined;
}

export interface ListOptions extends WorkOptions {
  readonly onDamaged?: ((id: string, error: AppError) => void) | undefined;
  /**
   * Called when a snapshot's record is written, with the store's time in milliseconds since 1970 where the
   * store gives one.
   */
  readonly onStored?: ((id: string, storedMs: number) => void) | undefined;
}

/** An entry of a snapshot; its path is relative to the root of the walk. */
export interface SnapshotEntry extends Entry {
  /** Equal for files of equal content and for directories of equal trees, within one repository. */
  readonly contentKey: string;
  /** Nanoseconds since 1970; 0 when unknown. */
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

export interface RemoveSnapshotsOptions extends WorkOptions {
  /** Ids of snapshots that must still exist: the removal was planned on the assumption that they stay. */
  readonly staying?: readonly string[] | undefined;
}

export interface TagChange {
  /** Replaces all tags, before those of `add` and `remove`. */
  readonly set?: readonly string[] | undefined;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface FindOptions extends WorkOptions {
  /** Results are in this order. */
  readonly snapshots: readonly Snapshot[];
  /** Called for each entry; its path is below the snapshot's data root. */
  readonly matches: (entry: SnapshotEntry) => boolean;
  /**
   * True when `matches` ignores where an entry lies: trees that snapshots share are then searched only once.
   */
  readonly isAnywhere: boolean;
}

export interface CheckOptions extends WorkOptions {
  /** 0 checks the structure only, 100 reads and verifies every byte. */
  readonly readDataPercent: number;
  /** Checks only these snapshots and the data that they need. */
  readonly snapshotIds?: readonly string[] | undefined;
}

export interface CheckReport {
  readonly snapshots: number;
  readonly packs: number;
  readonly blobs: number;
  readonly bytesRead: number;
  /** What all packs in the store take, those included that no index names. */
  readonly packBytes: number;
  /** Empty when the repository is intact. Each line names the damaged thing. */
  readonly errors: readonly string[];
  /** Harmless leftovers, such as packs that an interrupted backup left. */
  readonly notes: readonly string[];
  /** Ids of the snapshots that cannot be restored completely. */
  readonly damagedSnapshots: readonly string[];
  /** Ids of the snapshots in which no damage was found; how much was read depends on the options. */
  readonly wholeSnapshots: readonly string[];
}

export interface CopyOptions extends WorkOptions {
  /** Full ids; undefined copies all snapshots. */
  readonly snapshotIds?: readonly string[] | undefined;
  /** Reports what would be copied, and copies nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface CopiedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** The id in the target; undefined for a dry run. */
  readonly newId: string | undefined;
}

export interface FailedCopy {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** Why the snapshot was not copied: what of it is damaged or missing. */
  readonly message: string;
}

export interface CopyReport {
  readonly dryRun: boolean;
  readonly copied: readonly CopiedSnapshot[];
  /** Snapshots that the target already has; `newId` is their id there. */
  readonly present: readonly CopiedSnapshot[];
  readonly failed: readonly FailedCopy[];
  /** What was copied for these snapshots, as stored in the target. */
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * One of the key files that unlock a repository, each with its own password. All of them open the same data.
 */
export interface RepositoryKey {
  /** 64 hex digits. */
  readonly id: string;
  /** True for the key that opened the repository. */
  readonly isCurrent: boolean;
  /** A damaged key opens nothing, and its other fields are empty. */
  readonly isDamaged: boolean;
  /** Who added the key, where and when (RFC 3339), as its file says; not verified. */
  readonly username: string;
  readonly hostname: string;
  readonly created: string;
}

export interface RemoveKeyOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * The password of another key, which replaces the current one. It is proven to open the repository before
   * anything is removed.
   */
  readonly instead?: Uint8Array | undefined;
}

/** The holder of a lock, as the lock file says. */
export interface LockHolder {
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339; it is renewed every few minutes. */
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** False for a damaged lock, of which nothing else is known. */
  readonly isReadable: boolean;
  /** Why no process can still hold the lock; undefined when one may. */
  readonly stale: string | undefined;
}

export interface UnlockOptions extends WorkOptions {
  /**
   * Also removes locks that a living process may hold: its work may then fail, or destroy the work of others.
   */
  readonly all: boolean;
  /** Reports what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface UnlockReport {
  readonly removed: readonly LockHolder[];
  readonly kept: readonly LockHolder[];
}

export interface PruneLimits {
  readonly maxUnused: UnusedLimit;
  /** Upper bound of the bytes that are read and rewritten; undefined for no bound. */
  readonly maxRepackBytes: number | undefined;
}

/** A number of things and their stored size. */
export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

/** What a prune found, and what it does about it. */
export interface PruneSummary {
  /** All stored packs. */
  readonly packs: Amount;
  /** Blobs that a snapshot needs, each counted once. */
  readonly used: Amount;
  /** Blobs that no snapshot needs, and extra copies of those that one does. */
  readonly unused: Amount;
  /** The part of `unused` that is extra copies. */
  readonly duplicates: Amount;
  /** Packs without a used blob; they are removed. */
  readonly remove: Amount;
  /** Packs that no index names, as a killed backup leaves them; they are removed. */
  readonly unreferenced: Amount;
  /** Partly used packs: their used blobs are copied into new packs before they are removed. */
  readonly repack: Amount;
  /** Bytes freed by the prune. */
  readonly freedBytes: number;
  /** Unused bytes that stay, within the limits. */
  readonly unusedAfterBytes: number;
}

export interface PruneOptions extends WorkOptions, PruneLimits {}

export interface RestoreOptions extends WorkOptions {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root; '' is all of it. A file is restored as TARGET itself. */
  readonly path: ByteString;
  /** Restores from the folder of saved configuration, see `SaveOptions.config`, instead of the data. */
  readonly inConfig?: boolean | undefined;
  /** Must not exist, or be an empty directory: restoring never merges. */
  readonly target: ByteString;
  /** The name of the target in messages, where its path would mean nothing to the user. */
  readonly shownAs?: string | undefined;
  /** Replaces the saved owners. */
  readonly mapOwner?: OwnerMap | undefined;
  /**
   * A directory that probably has the same files: equal content is taken from there after verification. It is
   * only read.
   */
  readonly like?: ByteString | undefined;
}

export interface RestoreResult {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  /** Bytes taken from `like`. */
  readonly bytesTaken?: number | undefined;
  /** Metadata that this process may not set (an owner, trusted xattrs), one line each. */
  readonly problems: readonly SaveProblem[];
}

export interface StatsOptions extends WorkOptions {
  /** Each group is sorted oldest first. */
  readonly groups: readonly (readonly Snapshot[])[];
}

/** The size of a group of snapshots, such as those of one volume. */
export interface GroupStats {
  readonly snapshots: number;
  /** Bytes that restoring the newest snapshot writes. */
  readonly newestBytes: number;
  /** Bytes that restoring every snapshot would write, in total. */
  readonly restorableBytes: number;
  /** Blobs that the group needs, each counted once. */
  readonly blobs: number;
  /** The size of these blobs before compression, and as stored. */
  readonly uncompressedBytes: number;
  readonly storedBytes: number;
  /** The part of `storedBytes` that no other group needs: what removing this group would free. */
  readonly ownBytes: number;
}

export interface RepositoryStats {
  readonly packs: number;
  /** Size of all packs. */
  readonly packBytes: number;
  /** Size of all index files. */
  readonly indexBytes: number;
  /** Everything that some group needs, each blob counted once. */
  readonly total: Omit<GroupStats, 'newestBytes' | 'ownBytes'>;
  /** In the order of the request. */
  readonly groups: readonly GroupStats[];
}

export interface RepairOptions extends WorkOptions {
  /** Reports what would be done, and changes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface IndexRepairOptions extends RepairOptions {
  /** Reads the headers of all packs, not only of those that no index file names correctly. */
  readonly readAllPacks?: boolean | undefined;
}

/** A pack whose header cannot be read. */
export interface UnreadablePack {
  readonly packId: string;
  readonly message: string;
  /**
   * True when an index file lists its content: that entry is kept, so that "repair packs" can save the intact
   * blobs.
   */
  readonly isIndexed: boolean;
}

export interface IndexRepairReport {
  readonly dryRun: boolean;
  /** Index files that could not be read; their content is recovered from the packs. */
  readonly damagedIndexFiles: readonly string[];
  /** Packs that no index file named. */
  readonly addedPacks: readonly string[];
  /** Packs whose index entries contradicted the pack itself, or each other. */
  readonly correctedPacks: readonly string[];
  /** Packs that index files named and that no longer exist. */
  readonly missingPacks: readonly string[];
  readonly unreadablePacks: readonly UnreadablePack[];
  /** Index files that are replaced because they are damaged, wrong, or duplicate others. */
  readonly replacedIndexFiles: readonly string[];
  /** The content of the new index. */
  readonly packs: number;
}

export interface PackRepairOptions extends RepairOptions {
  /** Ids or their unique prefixes; 'damaged' reads every byte of every pack to find those to repair. */
  readonly packs: readonly string[] | 'damaged';
}

export interface LostBlob {
  readonly id: string;
  readonly type: 'data' | 'tree';
}

/** The result for one damaged pack. */
export interface RepairedPack {
  readonly packId: string;
  /**
   * `missing`: the index names the pack, but it does not exist. `unreadable`: the store fails to return it,
   * so its file is kept.
   */
  readonly state: 'damaged' | 'missing' | 'unreadable';
  readonly blobs: number;
  readonly savedBlobs: number;
  /** Why the first lost blob could not be saved. */
  readonly message: string | undefined;
}

export interface PackRepairReport {
  readonly dryRun: boolean;
  readonly packs: readonly RepairedPack[];
  /** Blobs of these packs that no other pack holds. */
  readonly lostBlobs: readonly LostBlob[];
  /** Packs whose content is unknown; they are left as they are. */
  readonly unknownPacks: readonly string[];
  /** Requested packs that are intact; they stay. */
  readonly wholePacks: readonly string[];
}

export interface SnapshotRepairOptions extends RepairOptions {
  /** Full ids; undefined for all snapshots. */
  readonly snapshotIds?: readonly string[] | undefined;
  /** Removes the records of damaged snapshots once their replacements are durable, and unreadable records. */
  readonly forget: boolean;
}

/** Something that a repaired snapshot no longer has. */
export interface LostEntry {
  /** Below the snapshot's root, printable. */
  readonly path: string;
  /** A directory whose list of entries is lost is empty from then on. */
  readonly type: 'file' | 'dir';
  /** Bytes; 0 for a directory, whose content is unknown. */
  readonly size: number;
}

export interface RepairedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** Undefined for a dry run, and when nothing of the snapshot is left. */
  readonly newId: string | undefined;
  /** `lost`: its root is unreadable, so nothing replaces it. */
  readonly outcome: 'repaired' | 'lost';
  readonly lost: readonly LostEntry[];
  /** True when its record was removed. */
  readonly forgotten: boolean;
}

export interface SnapshotRepairReport {
  readonly dryRun: boolean;
  /** How many snapshots were examined. */
  readonly snapshots: number;
  readonly repaired: readonly RepairedSnapshot[];
  /**
   * Records that cannot be read. With `forget` they are removed too, since nothing can be restored from them.
   */
  readonly unreadableRecords: readonly string[];
}
