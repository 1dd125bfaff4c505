import type { Container, Containers } from '../../hosts/containers.ts';
import type { Grade } from '../../model/snapshot.ts';

export type PresetName = 'postgresql' | 'mariadb' | 'mongodb' | 'redis' | 'sqlite';

/**
 * What Holdfast knows about one kind of database: how it is recognised, how its own client makes its data consistent,
 * how a dump of it is made, proven and restored, and what a drill asks of it. Presets are values without state;
 * `presets` in `find-presets.ts` is the list of them all.
 *
 * Everything is done by the client in the database's own container, as argument arrays. Passwords come from the
 * container's environment or its secret files, and reach the client through its environment or stdin only.
 */
export interface Preset {
  readonly name: PresetName;
  /** For people: `PostgreSQL`. */
  readonly title: string;

  /** Pure. From the image and from what lies on disk; undefined for what is none of its own. */
  recognises(subject: PresetSubject): Recognition | undefined;

  /**
   * To be done just before the data is made still: makes what is on disk recent and recovery short. Changes no data, may
   * be repeated, and needs nothing to be undone. Undefined when there was nothing to do.
   */
  before?(server: PresetServer): Promise<Made | undefined>;

  /**
   * Holds the application's own lock from now until it is disposed. The container may be paused meanwhile (not stopped).
   * The lock ends by itself when the client dies; `assertHeld` says so.
   */
  hold?(server: PresetServer): Promise<Hold>;

  /** Logical copies of everything, as named streams. Undefined where there is no such thing. */
  dumps?(server: PresetServer): Promise<readonly Dump[]>;

  /** Puts a dump into a running server. What is there under the same names is replaced, the rest stays. */
  restoreDump?(server: PresetServer, dump: DumpToRestore): Promise<void>;

  /** Waits until the server answers, then asks what proves that its data is there. Never throws for an unhealthy server. */
  check(server: PresetServer, options: CheckRequest): Promise<PresetCheck>;
}

/** What there is to recognise a database by. Either may be missing: a volume without containers, a volume not looked at. */
export interface PresetSubject {
  readonly container: Pick<Container, 'image' | 'environment' | 'command'> | undefined;
  /** Where the container mounts the volume. */
  readonly mountPath: string | undefined;
  readonly disk: DiskEvidence | undefined;
}

/** Files of a volume near its root: the path below the root, and the file's first bytes (none for a folder). */
export type DiskEvidence = ReadonlyMap<string, Uint8Array>;

export interface Recognition {
  readonly by: 'image' | 'disk' | 'both';
  /** Folder of the database's files below the volume's root, '' for the root, where the disk was looked at. */
  readonly folder: string;
  /** The database's files below the volume's root, for one that is a file (SQLite). */
  readonly files: readonly string[];
  /** Why, for people: `the image "postgres:16", "PG_VERSION" in it`. */
  readonly reason: string;
}

/** A database in a running container. */
export interface PresetServer {
  readonly containers: Containers;
  readonly container: Container;
  /** Where the container mounts the volume. */
  readonly mountPath: string;
  readonly recognition: Recognition;
  readonly signal?: AbortSignal | undefined;
}

/** What was done, for the snapshot's record. */
export interface Made {
  /** `checkpoint in "web-db-1"`. */
  readonly evidence: string;
  /** What a snapshot of one instant after it deserves: `app` where the application's data is whole without recovery. */
  readonly grade: Extract<Grade, 'app' | 'crash'>;
  /** What people should know of this database: that a part of it lies elsewhere. */
  readonly warning?: string | undefined;
}

export interface Hold extends AsyncDisposable, Made {
  /** What a snapshot of the live files deserves that is read while it is held; `torn` when they have to be still as well. */
  readonly gradeLive: Extract<Grade, 'app' | 'torn'>;
  /** Throws when the lock was lost meanwhile: what was read is not consistent. Not to be asked while the container is paused. */
  assertHeld(): Promise<void>;
}

/** One stream of a dump. */
export interface Dump {
  /** File name in the snapshot; begins with the preset's name and a dot: `postgresql.database.shop.sql`. */
  readonly name: string;
  /**
   * Starts the client. The stream throws when the dump is not whole: the client failed, printed nothing, or its end mark
   * is missing. It is whole only when it has been read to its end without an error.
   */
  readonly open: () => AsyncIterable<Uint8Array>;
}

export interface DumpToRestore {
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface CheckRequest {
  /** How long to wait for the server's first answer. */
  readonly readyWithinMs: number;
  /** How long counting may take in all. */
  readonly countWithinMs: number;
}

export interface PresetCheck {
  /** Undefined when nobody could be asked: the image has no client. */
  readonly isHealthy: boolean | undefined;
  /** From the call to the server's first answer; undefined when there was none. */
  readonly readyAfterMs: number | undefined;
  /** For people: `2 databases`, `14 tables`, `120345 rows`. */
  readonly facts: readonly string[];
  /** The same as numbers, to be compared with those of another time: `rows.shop.public.orders`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Why it is not healthy, or why nobody could be asked. */
  readonly problems: readonly string[];
}
