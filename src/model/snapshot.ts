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
  /** Stable over renames of the machine: snapshots of one volume share it. */
  readonly identity: string;
  readonly host: { readonly kind: HostKind; readonly identity: string; readonly name: string };
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt?: string | undefined;
  readonly anonymous: boolean;
  readonly stack?: string | undefined;
  readonly consumers: readonly Consumer[];
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

/** Something that was not saved as it is, or not at all. */
export interface SaveProblem {
  /** Below the root, as text that can be printed. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable';
  /** What is said of the path, with or without naming it. */
  readonly message: string;
}

/** One volume at one time. */
export interface Snapshot {
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly time: string;
  readonly tags: readonly string[];
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
  readonly programVersion: string | undefined;
}
