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
  /** What is at work now, for people. */
  readonly current: string | undefined;
}

export interface ListOptions extends WorkOptions {
  readonly onDamaged?: ((id: string, error: AppError) => void) | undefined;
  /** When a snapshot's record was written, by the store's clock, where the store says it; milliseconds since 1970. */
  readonly onStored?: ((id: string, storedMs: number) => void) | undefined;
}

/** An entry of a snapshot; its path is relative to where the walk began. */
export interface SnapshotEntry extends Entry {
  /** Equal for files of equal content and for directories of equal trees, within one repository. */
  readonly contentKey: string;
  /** Nanoseconds since 1970; 0 when unknown. */
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

export interface RemoveSnapshotsOptions extends WorkOptions {
  /** Ids of snapshots that must still be there: what is removed was chosen because these stay. */
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

export interface CopyOptions extends WorkOptions {
  /** Whole ids; undefined copies all snapshots. */
  readonly snapshotIds?: readonly string[] | undefined;
  /** Says what would be copied, and copies nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface CopiedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** In the target; undefined for a dry run. */
  readonly newId: string | undefined;
}

export interface FailedCopy {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** Why it was not copied: what of it is damaged or missing. */
  readonly message: string;
}

export interface CopyReport {
  readonly dryRun: boolean;
  readonly copied: readonly CopiedSnapshot[];
  /** Those that the target has already; `newId` is what they are there. */
  readonly present: readonly CopiedSnapshot[];
  readonly failed: readonly FailedCopy[];
  /** What had to be copied for them, as it is stored in the target. */
  readonly blobs: number;
  readonly bytes: number;
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
  /** Why no process can hold it any more; undefined when one may. */
  readonly stale: string | undefined;
}

export interface UnlockOptions extends WorkOptions {
  /** Removes locks too that a living process may hold: what it does then may come to nothing, or destroy what others do. */
  readonly all: boolean;
  /** Says what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface UnlockReport {
  readonly removed: readonly LockHolder[];
  readonly kept: readonly LockHolder[];
}

export interface PruneLimits {
  readonly maxUnused: UnusedLimit;
  /** At most this much is read and written again; undefined is as much as it takes. */
  readonly maxRepackBytes: number | undefined;
}

/** A number of things and their bytes as they are stored. */
export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

/** What a prune finds, and what it does about it. */
export interface PruneSummary {
  /** All packs that are stored. */
  readonly packs: Amount;
  /** Blobs that a snapshot needs, each once. */
  readonly used: Amount;
  /** Blobs that no snapshot needs, and further copies of those that one does. */
  readonly unused: Amount;
  /** The part of `unused` that is further copies. */
  readonly duplicates: Amount;
  /** Packs of which nothing is used: they are removed. */
  readonly remove: Amount;
  /** Packs that no index names, as a backup that was killed leaves them: they are removed. */
  readonly unreferenced: Amount;
  /** Packs of which a part is used: it is copied into new packs, and they are removed. */
  readonly repack: Amount;
  /** Bytes that are free afterwards. */
  readonly freedBytes: number;
  /** Bytes that are not used and stay, within the limits. */
  readonly unusedAfterBytes: number;
}

export interface PruneOptions extends WorkOptions, PruneLimits {}

export interface RestoreOptions extends WorkOptions {
  readonly snapshot: Snapshot;
  /** Below the snapshot's data root; '' is all of it. A file is restored as TARGET itself. */
  readonly path: ByteString;
  /** Below the folder of what its containers need, see `SaveOptions.config`, instead of the data. */
  readonly inConfig?: boolean | undefined;
  /** Must not exist, or be an empty directory: restoring never merges. */
  readonly target: ByteString;
  /** What messages call it, where its path would say nothing to people. */
  readonly shownAs?: string | undefined;
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

export interface StatsOptions extends WorkOptions {
  /** Each oldest first. */
  readonly groups: readonly (readonly Snapshot[])[];
}

/** How much a group of snapshots holds, such as those of one volume. */
export interface GroupStats {
  readonly snapshots: number;
  /** Bytes that restoring the newest of them writes. */
  readonly newestBytes: number;
  /** Bytes that restoring each of them would write, together. */
  readonly restorableBytes: number;
  /** Blobs that they need, each once. */
  readonly blobs: number;
  /** Their bytes before compression, and as they are stored. */
  readonly uncompressedBytes: number;
  readonly storedBytes: number;
  /** The part of `storedBytes` that no other group needs: what would be freed without them. */
  readonly ownBytes: number;
}

export interface RepositoryStats {
  readonly packs: number;
  /** Size of all packs. */
  readonly packBytes: number;
  /** Size of all index files. */
  readonly indexBytes: number;
  /** Everything that some group needs, each blob once. */
  readonly total: Omit<GroupStats, 'newestBytes' | 'ownBytes'>;
  /** In the order in which they were asked for. */
  readonly groups: readonly GroupStats[];
}

export interface RepairOptions extends WorkOptions {
  /** Says what would be done, and changes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface IndexRepairOptions extends RepairOptions {
  /** Reads the headers of all packs, not only of those that no index file names rightly. */
  readonly readAllPacks?: boolean | undefined;
}

/** A pack that does not say what it holds. */
export interface UnreadablePack {
  readonly packId: string;
  readonly message: string;
  /** True when an index file says what it holds: that is kept, so that "repair packs" can save what is whole in it. */
  readonly isIndexed: boolean;
}

export interface IndexRepairReport {
  readonly dryRun: boolean;
  /** Index files that could not be read; what they said is found again in the packs themselves. */
  readonly damagedIndexFiles: readonly string[];
  /** Packs that no index file named. */
  readonly addedPacks: readonly string[];
  /** Packs of which index files said something else than the pack itself, or than each other. */
  readonly correctedPacks: readonly string[];
  /** Packs that index files named and that are gone. */
  readonly missingPacks: readonly string[];
  readonly unreadablePacks: readonly UnreadablePack[];
  /** Index files that are replaced: damaged, wrong in something, or saying what others say too. */
  readonly replacedIndexFiles: readonly string[];
  /** What the index names afterwards. */
  readonly packs: number;
}

export interface PackRepairOptions extends RepairOptions {
  /** Ids or their unique starts; 'damaged' reads every byte of every pack to find those that need it. */
  readonly packs: readonly string[] | 'damaged';
}

export interface LostBlob {
  readonly id: string;
  readonly type: 'data' | 'tree';
}

/** What became of one damaged pack. */
export interface RepairedPack {
  readonly packId: string;
  /** `missing`: the index names it and it is gone. `unreadable`: the store fails to give it, so its file is left alone. */
  readonly state: 'damaged' | 'missing' | 'unreadable';
  readonly blobs: number;
  readonly savedBlobs: number;
  /** Why the first blob that could not be saved could not. */
  readonly message: string | undefined;
}

export interface PackRepairReport {
  readonly dryRun: boolean;
  readonly packs: readonly RepairedPack[];
  /** Blobs of these packs that are nowhere else. */
  readonly lostBlobs: readonly LostBlob[];
  /** Packs whose content is unknown: they are left as they are. */
  readonly unknownPacks: readonly string[];
  /** Packs that were named and are whole: they stay. */
  readonly wholePacks: readonly string[];
}

export interface SnapshotRepairOptions extends RepairOptions {
  /** Whole ids; undefined looks at all of them. */
  readonly snapshotIds?: readonly string[] | undefined;
  /** Removes the records of the damaged snapshots, once what takes their place is durable, and those that cannot be read. */
  readonly forget: boolean;
}

/** Something that a repaired snapshot has no more. */
export interface LostEntry {
  /** Below the snapshot's root, for people. */
  readonly path: string;
  /** A directory that lost the list of what was in it is empty from then on. */
  readonly type: 'file' | 'dir';
  /** Bytes; 0 for a directory, whose content is unknown. */
  readonly size: number;
}

export interface RepairedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  /** Undefined for a dry run, and when nothing of it is left. */
  readonly newId: string | undefined;
  /** `lost`: its root is unreadable, so that nothing takes its place. */
  readonly outcome: 'repaired' | 'lost';
  readonly lost: readonly LostEntry[];
  /** True when its record was removed. */
  readonly forgotten: boolean;
}

export interface SnapshotRepairReport {
  readonly dryRun: boolean;
  /** How many were looked at. */
  readonly snapshots: number;
  readonly repaired: readonly RepairedSnapshot[];
  /** Records that cannot be read. With `forget` they are removed too: they restore nothing. */
  readonly unreadableRecords: readonly string[];
}
