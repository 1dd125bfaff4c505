import type { ByteString } from '../../model/byte-string.ts';
import type { Entry } from '../../model/entry.ts';
import type { AppError } from '../../model/errors.ts';
import type {
  ConfigRecord,
  Grade,
  GradeEvidence,
  InFlight,
  SaveProblem,
  Snapshot,
  SnapshotSummary,
  VolumeDescription,
} from '../../model/snapshot.ts';
import type { WorkOptions } from '../requests.ts';

export interface SaveOptions extends WorkOptions {
  readonly source: TreeSource;
  /** Dumps of what `source` is the files of. `conflict` when one was pruned meanwhile. */
  readonly dumps?: readonly StoredDump[] | undefined;
  /** Kept beside the data of a volume, with the record of what there is and what was left out. */
  readonly config?: { readonly files: readonly ConfigFile[]; readonly record: ConfigRecord } | undefined;
  readonly volume: VolumeDescription;
  readonly parent?: Snapshot | undefined;
  readonly tags: readonly string[];
  readonly hostname: string;
  /** When the backup began, in milliseconds since 1970. */
  readonly timeMs: number;
  /** A function is asked when everything is read: only then it is known what could write meanwhile. */
  readonly grade: Grade | ((shown: ShownByData) => Promise<Grade>);
  /** Why it has that grade, for the record; asked after it. */
  readonly evidence?: ((seen: InFlight | undefined) => GradeEvidence | undefined) | undefined;
  /** What the snapshots share that are taken at the same still moment. */
  readonly restorePoint?: string | undefined;
  /** Names of the volumes that belong to the restore point and could not be taken for it; those that fail here are added. */
  readonly missing?: readonly string[] | undefined;
  /** The patterns, as recorded in the snapshot. */
  readonly excludePatterns: readonly string[];
  /** True for a path, relative to the source's root, that is left out with everything below. */
  readonly isExcluded?: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  /** What the way to the data has lost; complete when everything is read. Becomes part of the result's problems. */
  readonly lost?: readonly SaveProblem[] | undefined;
  /** What the way to the data could not carry (`times are whole seconds`). */
  readonly limits?: readonly string[] | undefined;
  /**
   * Count, and store nothing. Files of a directory are told from those of the parent by their times and sizes and not read:
   * what would be added is at most what the summary says. A stream is read.
   */
  readonly dryRun?: boolean | undefined;
}

/** What the data itself shows of how still it was. */
export interface ShownByData {
  readonly problems: readonly SaveProblem[];
  /** One that was written to though all had to be still, for people; undefined where none was seen. */
  readonly written?: string | undefined;
  readonly inFlight?: InFlight | undefined;
}

/** A small file that the containers of a volume need, or a folder on the way to one. */
export interface ConfigFile {
  /** With its absolute path, without the first slash. */
  readonly entry: Entry;
  /** All of it; empty for what is no file. */
  readonly content: Uint8Array;
}

/** What a snapshot is made of. */
export type TreeSource =
  | {
      readonly kind: 'directory';
      readonly root: ByteString;
      /** Of what is in the root only this name, whether it is there or not: a missing one is a problem. */
      readonly only?: ByteString | undefined;
    }
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
   * its time and need not be done while it is still; to be called as late as possible before that. `lastPassMs` is how long
   * it took to go through the data last, in use: about as long as that it will have to be still; undefined where it was not.
   */
  begin(prepare: () => Promise<void>, lastPassMs: number | undefined): Promise<number>;
  /** Nothing has to be still any more. Called once `begin` was, after a failure too. */
  end(): Promise<void>;
  /** How long it may be still for the reading, in milliseconds; undefined for as long as that takes. */
  readonly maxStillMs?: number | undefined;
  /** How often it is made still at most, one time after the other, when it was let go before all was read; once unless given. */
  readonly tries?: number | undefined;
  /**
   * When it was let go since the last `begin` though `end` was not called yet, in milliseconds since 1970: what is read from
   * then on may be of later moments. Undefined while it is still.
   */
  cutAtMs?(): number | undefined;
  /** True when it was not still all the time since the last `begin`, for a reason of its own. Asked after `end`. */
  wasDisturbed?(): boolean;
  /** Lets it go now: the reading waits for something else than the data. */
  cut?(reason: string): void;
}

export interface SaveResult {
  /** Undefined for a dry run, and for what could not be read. */
  readonly snapshot: Snapshot | undefined;
  /** Why nothing of it was saved though others were that are saved together with it. */
  readonly error?: AppError | undefined;
  readonly summary: SnapshotSummary;
  /** What was not saved as it is, or not at all. A result with problems is partly done. */
  readonly problems: readonly SaveProblem[];
  /** What of the things that were read is in no snapshot: what is unchanged is not read, and not told again. */
  readonly notKept?: readonly NotKept[];
}

/** Files and directories with an attribute that is not kept. */
export interface NotKept {
  /** In words: what they are. */
  readonly what: string;
  readonly count: number;
  /** One of them, safe to print. */
  readonly example: string;
}
