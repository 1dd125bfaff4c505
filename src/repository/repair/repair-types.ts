import type { WorkOptions } from '../work-options.ts';

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
  /** Packs of which nobody knows what they hold: they are left as they are. */
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
  /** Bytes; 0 for a directory, of which nobody knows what it held. */
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
