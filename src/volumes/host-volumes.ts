import type { ByteString } from '../model/byte-string.ts';
import type { EntryType } from '../model/entry.ts';
import type { AppError } from '../model/errors.ts';
import type { VolumeFilter } from '../model/filter.ts';
import type { PathSuffix } from '../model/clean-path.ts';
import type { Volume, VolumeSpec } from '../model/volume.ts';

/** The progress of long work. Counts cover the whole so far; totals are set where they are known. */
export interface VolumeProgress {
  readonly bytes: number;
  readonly files: number;
}

export interface VolumeWorkOptions {
  /** A cancelled call throws `cancelled` and leaves what its description says. */
  readonly signal?: AbortSignal | undefined;
  /** Called often: a caller that draws should skip some. */
  readonly onProgress?: ((progress: VolumeProgress) => void) | undefined;
}

/** Something not carried over exactly, or not at all; the rest was. Such a result is "partly done". */
export interface VolumeProblem {
  /** Safe to print. */
  readonly path: string;
  readonly reason: 'vanished' | 'changed' | 'unreadable' | 'unsupported' | 'metadata';
  readonly message: string;
}

/** What all work on data reports. */
export interface WorkReport extends VolumeProgress {
  readonly problems: readonly VolumeProblem[];
  /** `direct` works on the directory itself, `stream` through the engine. */
  readonly way: 'direct' | 'stream';
  /** What this way cannot carry at all, for people (`times are whole seconds`). */
  readonly limits: readonly string[];
  /** Sentences for people: a volume was in use while it was read, labels were left out. */
  readonly notes: readonly string[];
}

export interface RemoveOptions extends VolumeWorkOptions {
  /** A missing name is no failure. */
  readonly force?: boolean | undefined;
  /** Files that have not reached a volume's storage may be lost. */
  readonly losesUnsaved?: boolean | undefined;
  /** Bypass the trash. */
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

/** What a prune would do with each volume that its filter matches, and why. Changes nothing. */
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
  /** Apparent bytes, as Docker counts; undefined when unmeasured. Only for volumes to be removed. */
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
  /** Default: the source's own. */
  readonly driver?: string | undefined;
  /** Default: the source's own, or none where they name a place, which two volumes must not share. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Added to the source's labels, which are copied without Docker's and Compose's own. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface CloneReport extends WorkReport {
  readonly volume: Volume;
  /** The target did not exist before. */
  readonly wasCreated: boolean;
}

/** A place on this machine, as the user typed it, relative to the working directory. */
export interface LocalPlace {
  readonly kind: 'path';
  readonly path: string;
}

export interface VolumePlace {
  readonly volume: string;
  /** From the volume's root, without leading or trailing `/`. */
  readonly path: ByteString;
  /** How the typed path ended. */
  readonly suffix?: PathSuffix | undefined;
}

export interface CopyInRequest {
  readonly from: LocalPlace | { readonly kind: 'stream'; readonly tar: AsyncIterable<Uint8Array> };
  readonly to: VolumePlace;
  /** Copy the target of a symbolic link instead of the link. */
  readonly followLink?: boolean | undefined;
}

export interface CopyOutRequest {
  readonly from: VolumePlace;
  readonly to: LocalPlace | { readonly kind: 'stream'; readonly write: ByteSink };
  readonly followLink?: boolean | undefined;
}

/** Takes bytes; its promise resolves when it can take more. */
export type ByteSink = (chunk: Uint8Array) => Promise<void>;

/** What a volume holds. Hard links are counted once. */
export interface VolumeUsage {
  readonly name: string;
  /** Sum of file lengths. */
  readonly bytes: number;
  /** Space used on disk; undefined over the streamed way. */
  readonly allocatedBytes: number | undefined;
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** The directories and files at the top, largest first, with everything below them. */
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
  /** Where symbolic links led; '' is the volume's root. */
  readonly path: ByteString;
  readonly type: EntryType;
  /** The contents of a directory, or the entry itself. In byte order. */
  readonly entries: readonly BrowsedEntry[];
  readonly problems: readonly VolumeProblem[];
}

export type ArchiveFormat = 'tar' | 'tar.gz' | 'tar.zst';

export interface ExportRequest {
  readonly volume: string;
  /** A file, which appears under its name once it is whole and on disk; or a stream. */
  readonly to: LocalPlace | { readonly kind: 'stream'; readonly write: ByteSink };
  /** Default: by the file name's ending; plain for a stream. */
  readonly format?: ArchiveFormat | undefined;
  /** Replace an existing file, which is `exists` otherwise. */
  readonly overwrite?: boolean | undefined;
}

export interface ExportReport extends WorkReport {
  readonly format: ArchiveFormat;
  readonly archiveBytes: number;
}

export interface ImportRequest {
  readonly volume: string;
  /** An archive of any `ArchiveFormat`, recognised by its first bytes. */
  readonly from: LocalPlace | { readonly kind: 'stream'; readonly bytes: AsyncIterable<Uint8Array> };
  /** Create a missing volume, which is `not-found` otherwise. */
  readonly create?: Omit<VolumeSpec, 'name'> | undefined;
  /** Extract over existing contents, which are a `conflict` otherwise. */
  readonly merge?: boolean | undefined;
}

export interface ImportReport extends WorkReport {
  readonly volume: Volume;
  readonly wasCreated: boolean;
}

/**
 * The lifecycle of volumes on a host.
 *
 * A missing name is `not-found` with similar names; only `create`, `clone` (its target) and `import` with
 * `create` create one. Where data is reached directly, everything is carried; over the streamed way, `limits`
 * says what is not. Nothing follows a symbolic link out of a volume.
 */
export interface HostVolumes {
  /**
   * As Docker does; an existing name that differs in driver, options or labels is a `conflict` that says how.
   */
  create(spec: VolumeSpec, options?: VolumeWorkOptions): Promise<Volume>;
  /** Sorted by name. */
  list(filter?: VolumeFilter, options?: VolumeWorkOptions): Promise<Volume[]>;
  inspect(name: string, options?: VolumeWorkOptions): Promise<Volume>;
  /**
   * Managed volumes go to the trash, unless `permanent`; others are deleted. Tries each name, also after a
   * failure. What is in use or protected stays, even with `force`.
   */
  remove(names: readonly string[], options?: RemoveOptions): Promise<RemoveReport>;

  /**
   * A protected volume is neither removed nor pruned until it is unprotected. Holdfast remembers this for
   * another engine's volumes too.
   */
  protect(name: string, isProtected: boolean, options?: VolumeWorkOptions): Promise<Volume>;
  isProtected(name: string): Promise<boolean>;

  /** Docker's rules: unused `local` volumes without options; anonymous ones only, unless `filter.all`. */
  planPrune(filter: VolumeFilter, options?: VolumeWorkOptions): Promise<PrunePlan>;
  /** Removes what the plan says, like `remove`, except what has come into use since. */
  applyPrune(plan: PrunePlan, options?: VolumeWorkOptions): Promise<PruneReport>;

  /**
   * An exact copy, with the root's own metadata. The target must be new or empty; after a failure or a cancel
   * it is gone, or empty, as before.
   */
  clone(request: CloneRequest, options?: VolumeWorkOptions): Promise<CloneReport>;

  /**
   * Like `docker cp` into a container, with owners and all metadata. What was copied before a failure stays.
   */
  copyIn(request: CopyInRequest, options?: VolumeWorkOptions): Promise<WorkReport>;
  /** Like `docker cp` out of a container. */
  copyOut(request: CopyOutRequest, options?: VolumeWorkOptions): Promise<WorkReport>;

  /**
   * In the order of the names. A missing name is `not-found`; a volume whose data cannot be read in time has
   * its error in its place, and the others are measured.
   */
  usage(names: readonly string[], options?: VolumeWorkOptions): Promise<(VolumeUsage | VolumeFailure)[]>;
  /** A directory's entries, or a single one. Follows relative symbolic links inside the volume. */
  browse(place: VolumePlace, options?: VolumeWorkOptions): Promise<BrowseResult>;
  /** A file's bytes. `usage` for anything else. */
  readFile(place: VolumePlace, options?: VolumeWorkOptions): AsyncIterable<Uint8Array>;

  /**
   * After a failure or a cancel there is no new file, and an existing one is unchanged. A stream is cut off.
   */
  export(request: ExportRequest, options?: VolumeWorkOptions): Promise<ExportReport>;
  /**
   * Fills a volume from an archive, with the root's metadata. Directly, it is all or nothing if the volume
   * was new or empty. Over the streamed way, a volume that was made for it is removed again, and an existing
   * one may hold a part.
   */
  import(request: ImportRequest, options?: VolumeWorkOptions): Promise<ImportReport>;
}
