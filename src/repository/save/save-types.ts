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
}

export interface SaveSessionOptions extends WorkOptions {
  /** Clones what is large in the final pass, where the file system can, and reads it when the data need not be still. */
  readonly clones?: boolean | undefined;
  /**
   * Count, and store nothing. Files of a directory are told from those of the parent by their times and sizes and not read:
   * what would be added is at most what the summary says. A stream is read.
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
   * Goes through directories while they are in use, once or several times, until what is left to read fits into the time
   * that the data may be still. Returns how long the last time took: about as long as the final pass will.
   */
  livePass(maxStillMs: number | undefined): Promise<{ readonly tookMs: number }>;

  /** Does what takes its time and need not be done while the data is still; as late as possible before that. */
  prepareFinalPass(): Promise<void>;

  /**
   * Reads what has changed since the live passes, or everything. When it returns, the data need not be still any more: what
   * was cloned is read later. `late` counts what was read or looked at after `cutAtMs` and may be of a later moment.
   */
  finalPass(options?: FinalPassOptions): Promise<{ readonly late: number }>;

  /** Reads the rest from clones and stores all of it durably. Returns what the data showed, in the order of the trees. */
  storeData(): Promise<SavedTree[]>;

  /**
   * Writes the snapshots, all or none, and ends the session: durable when it returns. One for each tree, in their order; a
   * dry run needs none.
   */
  finish(graded: readonly (GradedTree | undefined)[]): Promise<SaveResult[]>;
}

export interface FinalPassOptions {
  /** When the data became still, in milliseconds since 1970; undefined where it is not kept still. */
  readonly timeMs?: number | undefined;
  /** When the data was let go before the pass was over, in milliseconds since 1970; undefined while it is still. */
  readonly cutAtMs?: (() => number | undefined) | undefined;
  /** Told once, with the reason, that the pass waits for the store and the store takes nothing. */
  readonly onStall?: ((reason: string) => void) | undefined;
  /** True when more passes follow, live and final, should the data not have been still for long enough. */
  readonly mayRepeat?: boolean | undefined;
}

/** What the data itself shows of how still it was. */
export interface SavedTree {
  /** Why nothing of it is saved. */
  readonly error: AppError | undefined;
  readonly problems: readonly SaveProblem[];
  /** One that was written to though all had to be still, for people; undefined where none was seen. */
  readonly written: string | undefined;
  readonly inFlight: InFlight | undefined;
}

export interface GradedTree {
  readonly grade: Grade;
  /** Why it has that grade, for the record. */
  readonly evidence?: GradeEvidence | undefined;
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
