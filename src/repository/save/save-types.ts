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

/** A tree that becomes a snapshot. */
export interface TreeToSave {
  readonly source: TreeSource;
  /** Dumps of the database whose files `source` holds. `conflict` when one was pruned meanwhile. */
  readonly dumps?: readonly StoredDump[] | undefined;
  /** Stored beside the data of a volume, with the record of what exists and what was left out. */
  readonly config?: { readonly files: readonly ConfigFile[]; readonly record: ConfigRecord } | undefined;
  readonly volume: VolumeDescription;
  readonly parent?: Snapshot | undefined;
  readonly tags: readonly string[];
  readonly hostname: string;
  /** When the backup began, in milliseconds since 1970. */
  readonly timeMs: number;
  /** The id shared by snapshots of the same still moment. */
  readonly restorePoint?: string | undefined;
  /**
   * Names of the restore point's volumes that could not be saved; those that fail in this session are added.
   */
  readonly missing?: readonly string[] | undefined;
  /** The patterns, as recorded in the snapshot. */
  readonly excludePatterns: readonly string[];
  /** True for a path, relative to the source's root, that is left out with everything below. */
  readonly isExcluded?: ((path: ByteString, isDirectory: boolean) => boolean) | undefined;
  /** What the transport lost; complete when everything is read. Becomes part of the result's problems. */
  readonly lost?: readonly SaveProblem[] | undefined;
  /** What the transport could not carry (`times are whole seconds`). */
  readonly limits?: readonly string[] | undefined;
}

export interface SaveSessionOptions extends WorkOptions {
  /**
   * Clones large files in the final pass, where the file system can, and reads the clones after the data need
   * not be still.
   */
  readonly clones?: boolean | undefined;
  /**
   * Counts, and stores nothing. Files of a directory are compared with the parent's by time and size and not
   * read: the summary is an upper bound of what would be added. A stream is read.
   */
  readonly dryRun?: boolean | undefined;
}

export interface SaveOptions extends TreeToSave, Omit<SaveSessionOptions, 'clones'> {
  readonly grade: Grade;
}

/**
 * Saves trees together, step by step; how their data is kept still is up to the caller:
 *
 *   await using save = await repository.beginSave(trees, options);
 *   await save.livePass(maxStillMs);         the data is in use; may be left out
 *   await save.prepareFinalPass();           just before it is made still
 *   await save.finalPass({ timeMs, … });     it is still; from `livePass` on once more, if not for long enough
 *   const saved = await save.storeData();    it need not be still any more
 *   await save.finish(saved.map(grade));
 *
 * A tree whose own data cannot be read is left out from then on, and the others name it as missing; a step throws when none
 * can be read, or for what is no fault of their data. Disposal before `finish` leaves no snapshot: what was stored so far is
 * indexed where possible, and the next run goes on from it.
 */
export interface SaveSession extends AsyncDisposable {
  /**
   * Passes over directories in use, once or several times, until the remaining reading fits into the time
   * that the data may be still. Returns how long the last pass took: about as long as the final pass will.
   */
  livePass(maxStillMs: number | undefined): Promise<{ readonly tookMs: number }>;

  /** Does slow preparations just before the data is made still. */
  prepareFinalPass(): Promise<void>;

  /**
   * Reads what has changed since the live passes, or everything. On return the data need not be still: clones
   * are read later. `late` counts what was read or examined after `cutAtMs` and may be of a later moment.
   */
  finalPass(options?: FinalPassOptions): Promise<{ readonly late: number }>;

  /**
   * Reads the rest from clones and stores everything durably. Returns what the data showed, in the order of
   * the trees.
   */
  storeData(): Promise<SavedTree[]>;

  /**
   * Writes the snapshots, all or none, and ends the session; durable on return. One snapshot for each tree,
   * in their order; a dry run needs none.
   */
  finish(graded: readonly (GradedTree | undefined)[]): Promise<SaveResult[]>;
}

export interface FinalPassOptions {
  /** When the data became still, in milliseconds since 1970; undefined where it is not kept still. */
  readonly timeMs?: number | undefined;
  /**
   * When the data was released before the pass was over, in milliseconds since 1970; undefined while it is
   * still.
   */
  readonly cutAtMs?: (() => number | undefined) | undefined;
  /** Called once, with the reason, when the pass waits for a store that accepts nothing. */
  readonly onStall?: ((reason: string) => void) | undefined;
  /** True when more passes, live and final, follow if the data was not still for long enough. */
  readonly mayRepeat?: boolean | undefined;
}

/** What the data itself shows about how still it was. */
export interface SavedTree {
  /** Why nothing of the tree is saved. */
  readonly error: AppError | undefined;
  readonly problems: readonly SaveProblem[];
  /**
   * A path, printable, that was written to while everything had to be still; undefined when none was seen.
   */
  readonly written: string | undefined;
  readonly inFlight: InFlight | undefined;
}

export interface GradedTree {
  readonly grade: Grade;
  /** The reasons for the grade, for the record. */
  readonly evidence?: GradeEvidence | undefined;
}

/** A small file that the containers of a volume need, or a folder on the way to one. */
export interface ConfigFile {
  /** Its path is absolute, without the leading slash. */
  readonly entry: Entry;
  /** The whole content; empty for anything but a file. */
  readonly content: Uint8Array;
}

/** Where the data of a snapshot comes from. */
export type TreeSource =
  | {
      readonly kind: 'directory';
      readonly root: ByteString;
      /** Saves only this name of the root; a missing one is a problem. */
      readonly only?: ByteString | undefined;
    }
  /**
   * Depth first, a directory before its entries, the root ('') first, like the tar streams of container
   * engines.
   */
  | {
      readonly kind: 'entries';
      readonly entries: AsyncIterable<{ entry: Entry; body: AsyncIterable<Uint8Array> }>;
      /**
       * For a stream with times in whole seconds: returns the exact times, undefined for entries that are
       * gone.
       */
      readonly readTimes?:
        | ((paths: readonly ByteString[]) => Promise<readonly (bigint | undefined)[]>)
        | undefined;
    };

/** The output of a database's client: of unknown length, and complete only when it ends without an error. */
export interface DumpStream {
  /** File name in the snapshot. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A dump that is durable in the repository, until a prune finds that no snapshot refers to it. */
export interface StoredDump {
  readonly name: string;
  readonly size: number;
  /** Ids of its blobs. */
  readonly content: readonly string[];
}

export interface SaveResult {
  /** Undefined for a dry run, and when the data could not be read. */
  readonly snapshot: Snapshot | undefined;
  /** Why this tree was not saved although others of the session were. */
  readonly error?: AppError | undefined;
  readonly summary: SnapshotSummary;
  /** What was not saved exactly, or not at all. A result with problems is partial. */
  readonly problems: readonly SaveProblem[];
  /**
   * What no snapshot can hold of the entries that were read; unchanged files are not read, and not reported
   * again.
   */
  readonly notKept?: readonly NotKept[];
}

/** Files and directories with an attribute that is not kept. */
export interface NotKept {
  /** A description of the attribute's files. */
  readonly what: string;
  readonly count: number;
  /** One of the paths, safe to print. */
  readonly example: string;
}
