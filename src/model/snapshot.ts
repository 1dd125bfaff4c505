import type { Consumer, HostKind } from './volume.ts';

/**
 * How consistent a snapshot is: `cold` (nothing could write), `app` (the application made it consistent),
 * `crash` (one instant, as after a power cut), `torn` (files of different instants).
 */
export type Grade = 'cold' | 'app' | 'crash' | 'torn';

/** What a snapshot remembers of its volume, so that a bare machine can make it again. */
export interface VolumeDescription {
  readonly kind: 'volume' | 'path';
  /** Volume name, or absolute path. */
  readonly name: string;
  /** True for a path that is a single file: the data's root is then the folder that it is in, and holds nothing else. */
  readonly isFile?: boolean | undefined;
  /** For a directory that a symbolic link of another user's led to: where that was, and its data was read. */
  readonly realPath?: string | undefined;
  /** Stable over renames of the machine: snapshots of one volume share it. */
  readonly identity: string;
  readonly host: { readonly kind: HostKind; readonly identity: string; readonly name: string };
  /** The lineage of another machine that this one begins with, and that machine's name. */
  readonly continues?: { readonly identity: string; readonly hostName: string } | undefined;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt?: string | undefined;
  readonly anonymous: boolean;
  readonly stack?: string | undefined;
  /** Names of the volumes that its stack had then, without those that are kept out of backups: what a moment of all of it has. */
  readonly stackVolumes?: readonly string[] | undefined;
  readonly consumers: readonly Consumer[];
  /** How its consumers were started, where that was known. */
  readonly starts?: readonly ContainerStart[] | undefined;
}

/** How a container was started, so that another machine can try it again. Variables that may hold secrets are left out. */
export interface ContainerStart {
  /** The consumer's. */
  readonly name: string;
  readonly command: readonly string[];
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What it mounted of its machine; undefined in what earlier versions saved. */
  readonly binds?: readonly { readonly source: string; readonly destination: string }[] | undefined;
}

/** What one backup saw and stored. */
export interface SnapshotSummary {
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Apparent bytes of all files. */
  readonly bytes: number;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  /** Bytes before and after compression that this backup had to add. */
  readonly bytesAdded: number;
  readonly bytesStored: number;
  readonly durationMs: number;
}

/** How a backup keeps the data still: what was asked for, and what this volume could have. */
export type Consistency = 'cold' | 'freeze' | 'two-pass' | 'pause' | 'stop' | 'live';

/** Why a snapshot has its grade. */
export interface GradeEvidence {
  readonly consistency: Consistency;
  /** For people. */
  readonly reason: string;
  /** How long containers were still, from the first that was to the last that was back. */
  readonly stillMs?: number | undefined;
  /** How long they might be still at most for the reading; undefined where there was no bound. */
  readonly maxStillMs?: number | undefined;
  /** Each of them. */
  readonly apps?: readonly { readonly name: string; readonly stillMs: number }[] | undefined;
  /** What had changed while the data was gone through in use, and was read again when it was still. */
  readonly inFlight?: InFlight | undefined;
  /** What was run to make the data consistent, for people: `checkpoint in "web-db-1"`. */
  readonly ran?: readonly string[] | undefined;
}

export interface InFlight {
  /** How often the data was gone through before it was still. */
  readonly passes: number;
  readonly files: number;
  readonly bytes: number;
  /** How often it was made still; once where it is not said. */
  readonly tries?: number | undefined;
  /** How many files and directories were read when the containers ran again already, and may be of later moments. */
  readonly late?: number | undefined;
}

/** Something that was not saved as it is, or not at all. */
export interface SaveProblem {
  /** Below the root, as text that can be printed. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable';
  /** What is said of the path, with or without naming it. */
  readonly message: string;
}

/** The small files that a volume's containers need to run, and that lie beside its data in a snapshot. */
export interface ConfigRecord {
  /** Absolute paths. */
  readonly saved: readonly string[];
  /** Those of them that a container could write to: they may hold data. Undefined where that was not looked for. */
  readonly writable?: readonly string[] | undefined;
  /** What they need and what is not in the snapshot. */
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
}

/** One volume at one time. */
export interface Snapshot {
  /** 64 hex digits. */
  readonly id: string;
  /** The id that it was saved under, where a change of its tags, a repair or a copy has given it this one. */
  readonly original?: string | undefined;
  /** RFC 3339. */
  readonly time: string;
  readonly tags: readonly string[];
  /** The patterns of what was left out on purpose. */
  readonly excludes?: readonly string[] | undefined;
  readonly hostname: string;
  /** The volume's name, or the first path that was saved. */
  readonly name: string;
  /** Absolute paths in its tree, as they were recorded. */
  readonly paths: readonly string[];
  readonly parent: string | undefined;
  readonly grade: Grade | undefined;
  /** Undefined for a snapshot that another program made. */
  readonly volume: VolumeDescription | undefined;
  readonly summary: SnapshotSummary | undefined;
  /** How many things could not be saved; 0 is a whole snapshot. */
  readonly problemCount: number;
  /** What the application's own client dumped beside the data, where it did. */
  readonly dumps?: readonly { readonly name: string; readonly size: number }[] | undefined;
  /** Undefined where nothing was looked for. */
  readonly config?: ConfigRecord | undefined;
  readonly evidence?: GradeEvidence | undefined;
  /** What it shares with the snapshots of other volumes that were saved at the same still moment: 16 hex digits. */
  readonly restorePoint?: string | undefined;
  /** Names of the volumes that could not be saved at that moment though they belong to it. Absent where none is missing. */
  readonly missing?: readonly string[] | undefined;
  readonly programVersion: string | undefined;
}
