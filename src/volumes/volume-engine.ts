import type { ByteString } from '../model/byte-string.ts';
import type { EntryType } from '../model/entry.ts';
import type { AppError } from '../model/errors.ts';
import type { VolumeFilter } from '../model/filter.ts';
import type { PathSuffix } from '../model/clean-path.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';

/** How far long work is. Counts are of the whole so far; the totals are there where they are known. */
export interface VolumeProgress {
  readonly bytes: number;
  readonly files: number;
}

export interface VolumeWorkOptions {
  /** A cancelled call throws `cancelled` and leaves what its description says. */
  readonly signal?: AbortSignal | undefined;
  /** Called often: a caller that paints drops what is too much. */
  readonly onProgress?: ((progress: VolumeProgress) => void) | undefined;
}

/** Something that was not carried as it is, or not at all; the rest was. A result with problems is "partly done". */
export interface VolumeProblem {
  /** Safe to print. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable' | 'unsupported' | 'metadata';
  readonly message: string;
}

/** What every piece of work on data says of itself. */
export interface WorkReport extends VolumeProgress {
  readonly problems: readonly VolumeProblem[];
  /** `direct` works on the directory itself, `stream` through the engine. */
  readonly way: 'direct' | 'stream';
  /** What this way cannot carry at all, in words for people (`times are whole seconds`). */
  readonly limits: readonly string[];
  /** What people should know, as sentences: a volume that was in use while it was read, labels that were left. */
  readonly notes: readonly string[];
}

export interface RemoveOptions extends VolumeWorkOptions {
  /** A name that does not exist is no failure. */
  readonly force?: boolean | undefined;
  /** Files that have not reached a volume's storage are lost. */
  readonly losesUnsaved?: boolean | undefined;
  /** Around the trash. */
  readonly permanent?: boolean | undefined;
}

export interface RemoveReport {
  readonly removed: readonly string[];
  /** Did not exist, and `force` was given. */
  readonly missing: readonly string[];
  readonly failures: readonly VolumeFailure[];
}

export interface VolumeFailure {
  readonly name: string;
  readonly error: AppError;
}

/** What a prune would do with each volume that its filter is about, and why. Nothing is touched by it. */
export interface PrunePlan {
  readonly remove: readonly PruneChoice[];
  readonly keep: readonly PruneChoice[];
}

export interface PruneChoice {
  readonly volume: Volume;
  /** A sentence: `No container uses it, and it has no name.` */
  readonly why: string;
  readonly reason:
    | 'unused-anonymous'
    | 'unused-named'
    | 'in-use'
    | 'protected'
    | 'named'
    | 'other-driver'
    | 'has-options';
  /** Apparent bytes, as Docker counts them; undefined when they could not be measured. Only for what is to be removed. */
  readonly bytes: number | undefined;
}

export interface PruneReport {
  readonly removed: readonly string[];
  readonly bytesReclaimed: number;
  readonly failures: readonly VolumeFailure[];
}

export interface CloneRequest {
  readonly from: string;
  readonly to: string;
  /** The source's own unless given. */
  readonly driver?: string | undefined;
  /** The source's own unless given, or none where they name a place, which two volumes must not share. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Added to the source's labels, without Docker's and Compose's own. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface CloneReport extends WorkReport {
  readonly volume: Volume;
  /** The target was not there before. */
  readonly wasCreated: boolean;
}

/** A place on this machine: text as the user typed it, relative to the working directory. */
export interface LocalPlace {
  readonly kind: 'path';
  readonly path: string;
}

/** A place in a volume. */
export interface VolumePlace {
  readonly volume: string;
  /** From the volume's root on, without leading or trailing `/`. */
  readonly path: ByteString;
  /** How the path ended when it was typed. */
  readonly suffix?: PathSuffix | undefined;
}

export interface CopyInRequest {
  readonly from: LocalPlace | { readonly kind: 'stream'; readonly tar: AsyncIterable<Uint8Array> };
  readonly to: VolumePlace;
  /** A symbolic link at the source is replaced by what it points to. */
  readonly followLink?: boolean | undefined;
}

export interface CopyOutRequest {
  readonly from: VolumePlace;
  readonly to: LocalPlace | { readonly kind: 'stream'; readonly write: ByteSink };
  readonly followLink?: boolean | undefined;
}

/** Takes bytes; its promise is kept when it can take more. */
export type ByteSink = (chunk: Uint8Array) => Promise<void>;

/** What a volume holds. Hard links are counted once. */
export interface VolumeUsage {
  readonly name: string;
  /** Sum of the lengths of files. */
  readonly bytes: number;
  /** Room taken on disk; undefined over the streamed way. */
  readonly allocatedBytes: number | undefined;
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** The directories and files at the top, largest first, with all that is below them. */
  readonly top: readonly { readonly path: string; readonly bytes: number; readonly files: number }[];
  readonly problems: readonly VolumeProblem[];
}

export interface BrowsedEntry {
  readonly name: ByteString;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** RFC 3339. */
  readonly modifiedAt: string;
  readonly linkTarget: ByteString | undefined;
}

export interface BrowseResult {
  /** Where symbolic links led to; '' is the volume's root. */
  readonly path: ByteString;
  readonly type: EntryType;
  /** What is in a directory, or the thing itself. In byte order. */
  readonly entries: readonly BrowsedEntry[];
  readonly problems: readonly VolumeProblem[];
}

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.zst';

export interface ExportRequest {
  readonly volume: string;
  /** A file, which appears under its name when it is whole and on disk; or a stream. */
  readonly to: LocalPlace | { readonly kind: 'stream'; readonly write: ByteSink };
  /** By the ending of the file's name unless given; plain for a stream. */
  readonly format?: ArchiveFormat | undefined;
  /** Replaces a file that is there; otherwise that is `exists`. */
  readonly overwrite?: boolean | undefined;
}

export interface ExportReport extends WorkReport {
  readonly format: ArchiveFormat;
  /** Of the archive. */
  readonly archiveBytes: number;
}

export interface ImportRequest {
  readonly volume: string;
  /** An archive of any `ArchiveFormat`: which one is seen from its first bytes. */
  readonly from: LocalPlace | { readonly kind: 'stream'; readonly bytes: AsyncIterable<Uint8Array> };
  /** Makes the volume when it does not exist; otherwise that is `not-found`. */
  readonly create?: Omit<VolumeSpec, 'name'> | undefined;
  /** Lays the archive over what is in the volume; otherwise a volume that holds something is a `conflict`. */
  readonly merge?: boolean | undefined;
}

export interface ImportReport extends WorkReport {
  readonly volume: Volume;
  readonly wasCreated: boolean;
}

/**
 * The lifecycle of volumes on a host.
 *
 * A name that does not exist is `not-found` with the names that are near it, and is never created by anything but
 * `create`, `clone` (its target) and `import` with `create`. Where data is reached directly, all of it is carried;
 * over the streamed way, `limits` says what is not. Nothing follows a symbolic link out of a volume.
 */
export interface VolumeEngine {
  /** As Docker does; a name that exists and differs in driver, options or labels is a `conflict` that says how. */
  create(spec: VolumeSpec, options?: VolumeWorkOptions): Promise<Volume>;
  /** Sorted by name. */
  list(filter?: VolumeFilter, options?: VolumeWorkOptions): Promise<Volume[]>;
  inspect(name: string, options?: VolumeWorkOptions): Promise<Volume>;
  /**
   * To the trash where the volumes are Holdfast's own, unless `permanent`; else for good. Each name is tried, also
   * after one that fails. What is in use or protected stays, `force` or not.
   */
  remove(names: readonly string[], options?: RemoveOptions): Promise<RemoveReport>;

  /** A protected volume is neither removed nor pruned until it is unprotected. Holdfast remembers it, also for another engine's volumes. */
  protect(name: string, isProtected: boolean, options?: VolumeWorkOptions): Promise<Volume>;
  isProtected(name: string): Promise<boolean>;

  /** Docker's own rules: unused volumes of the driver `local` without options; anonymous ones only, unless `filter.all`. */
  planPrune(filter: VolumeFilter, options?: VolumeWorkOptions): Promise<PrunePlan>;
  /** Removes what the plan says, except what has come into use since; as `remove` does. */
  applyPrune(plan: PrunePlan, options?: VolumeWorkOptions): Promise<PruneReport>;

  /**
   * An exact copy, the root's own metadata included. The target must be new or empty; a failure or a cancel leaves it
   * as it was: gone, or empty.
   */
  clone(request: CloneRequest, options?: VolumeWorkOptions): Promise<CloneReport>;

  /** As `docker cp` into a container, with owners and all metadata. What was copied before a failure stays. */
  copyIn(request: CopyInRequest, options?: VolumeWorkOptions): Promise<WorkReport>;
  /** As `docker cp` out of a container. */
  copyOut(request: CopyOutRequest, options?: VolumeWorkOptions): Promise<WorkReport>;

  /**
   * In the order of the names. A name that does not exist is `not-found`; one whose data cannot be had, or does not answer
   * in time, is told with its error, and the others are measured.
   */
  usage(names: readonly string[], options?: VolumeWorkOptions): Promise<(VolumeUsage | VolumeFailure)[]>;
  /** A directory's entries, or one thing. Relative symbolic links are followed inside the volume. */
  browse(place: VolumePlace, options?: VolumeWorkOptions): Promise<BrowseResult>;
  /** A file's bytes. `usage` for what is no file. */
  readFile(place: VolumePlace, options?: VolumeWorkOptions): AsyncIterable<Uint8Array>;

  /** A failure or a cancel leaves no file, and an existing one as it was. A stream is cut off then. */
  export(request: ExportRequest, options?: VolumeWorkOptions): Promise<ExportReport>;
  /**
   * Fills a volume from an archive, the root's metadata included. Directly, it is all or nothing where the volume was
   * new or empty. Over the streamed way, a volume that was made for it is removed again, and another one may hold a part.
   */
  import(request: ImportRequest, options?: VolumeWorkOptions): Promise<ImportReport>;
}
