import type { Consumer, HostKind } from './volume.ts';

/**
 * How consistent a snapshot is: `cold` (nothing could write), `app` (the application made it consistent),
 * `crash` (one instant, as after a power cut), `torn` (files of different instants).
 */
export type Grade = 'cold' | 'app' | 'crash' | 'torn';

/** A snapshot's description of its volume, enough to recreate it on a bare machine. */
export interface VolumeDescription {
  readonly kind: 'volume' | 'path';
  /** Volume name, or absolute path. */
  readonly name: string;
  /** True for a path that is a single file: the data's root is then its folder, with no other entry. */
  readonly isFile?: boolean | undefined;
  /** For a directory behind another user's symbolic link: the real path that was read. */
  readonly realPath?: string | undefined;
  /** Stable across renames of the machine: shared by the snapshots of one volume. */
  readonly identity: string;
  readonly host: { readonly kind: HostKind; readonly identity: string; readonly name: string };
  /** The lineage of another machine that this one continues, and that machine's name. */
  readonly continues?: { readonly identity: string; readonly hostName: string } | undefined;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt?: string | undefined;
  readonly anonymous: boolean;
  readonly stack?: string | undefined;
  /**
   * Names of the stack's volumes at that time, without those excluded from backups: what a complete restore
   * point has.
   */
  readonly stackVolumes?: readonly string[] | undefined;
  readonly consumers: readonly Consumer[];
  /** How its consumers were started, where known. */
  readonly starts?: readonly ContainerStart[] | undefined;
}

/**
 * How a container was started, so that another machine can try it. Variables that may hold secrets are left
 * out.
 */
export interface ContainerStart {
  /** The consumer's name. */
  readonly name: string;
  readonly command: readonly string[];
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The host paths that it mounted; undefined in snapshots of earlier versions. */
  readonly binds?: readonly { readonly source: string; readonly destination: string }[] | undefined;
}

/** Counts of one backup. */
export interface SnapshotSummary {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Apparent bytes of all files. */
  readonly bytes: number;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  /** Bytes that this backup added, before and after compression. */
  readonly bytesAdded: number;
  readonly bytesStored: number;
  readonly durationMs: number;
}

/** How a backup keeps the data still: as requested, and as possible for this volume. */
export type Consistency = 'cold' | 'freeze' | 'two-pass' | 'pause' | 'stop' | 'live';

/** Why a snapshot has its grade. */
export interface GradeEvidence {
  readonly consistency: Consistency;
  /** The explanation, in words. */
  readonly reason: string;
  /** How long containers were still, from the first stopped to the last restarted. */
  readonly stillMs?: number | undefined;
  /** The limit of that time for reading; undefined without a limit. */
  readonly maxStillMs?: number | undefined;
  /** The same for each container. */
  readonly apps?: readonly { readonly name: string; readonly stillMs: number }[] | undefined;
  /** What changed after the live pass, and was read again when the data was still. */
  readonly inFlight?: InFlight | undefined;
  /** What was run to make the data consistent: `checkpoint in "web-db-1"`. */
  readonly ran?: readonly string[] | undefined;
}

export interface InFlight {
  /** The number of live passes. */
  readonly passes: number;
  readonly files: number;
  readonly bytes: number;
  /** How often it was made still; once by default. */
  readonly tries?: number | undefined;
  /** How many files and directories were read after the containers ran again, and may be of later moments. */
  readonly late?: number | undefined;
}

/** Something that was not saved exactly, or not at all. */
export interface SaveProblem {
  /** Below the root, printable. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable';
  /** About the path, with or without naming it. */
  readonly message: string;
}

/** The small files that a volume's containers need to run, stored beside its data in a snapshot. */
export interface ConfigRecord {
  /** Absolute paths. */
  readonly saved: readonly string[];
  /**
   * Those that a container could write to, and that may therefore hold data. Undefined where that was not
   * checked.
   */
  readonly writable?: readonly string[] | undefined;
  /** Files that they need and that are not in the snapshot. */
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
}

/** One volume at one time. */
export interface Snapshot {
  /** 64 hex digits. */
  readonly id: string;
  /** The id under which it was first saved, where a change of tags, a repair or a copy has replaced it. */
  readonly original?: string | undefined;
  /** RFC 3339. */
  readonly time: string;
  readonly tags: readonly string[];
  /** The exclude patterns. */
  readonly excludes?: readonly string[] | undefined;
  readonly hostname: string;
  /** The volume's name, or the first saved path. */
  readonly name: string;
  /** Absolute paths in its tree, as recorded. */
  readonly paths: readonly string[];
  readonly parent: string | undefined;
  readonly grade: Grade | undefined;
  /** Undefined for another program's snapshot. */
  readonly volume: VolumeDescription | undefined;
  readonly summary: SnapshotSummary | undefined;
  /** How many entries could not be saved; 0 for a complete snapshot. */
  readonly problemCount: number;
  /** Dumps by the application's own client, beside the data. */
  readonly dumps?: readonly { readonly name: string; readonly size: number }[] | undefined;
  /** Undefined where none was searched for. */
  readonly config?: ConfigRecord | undefined;
  readonly evidence?: GradeEvidence | undefined;
  /** Shared with the snapshots of other volumes saved at the same still moment: 16 hex digits. */
  readonly restorePoint?: string | undefined;
  /** Names of the restore point's volumes that could not be saved. Absent when none is missing. */
  readonly missing?: readonly string[] | undefined;
  readonly programVersion: string | undefined;
}
