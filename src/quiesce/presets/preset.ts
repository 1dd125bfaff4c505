import type { Container, Containers } from '../../hosts/containers.ts';
import type { Grade } from '../../model/snapshot.ts';

export type PresetName = 'postgresql' | 'mariadb' | 'mongodb' | 'redis' | 'sqlite';

/**
 * What Holdfast knows about one kind of database: how to recognise it, make its data consistent, make, prove
 * and restore a dump, and what a drill checks. Presets are stateless values; `presets` in `find-presets.ts`
 * lists them all.
 *
 * All work is done by the client in the database's own container, with argument arrays. Passwords come from
 * the container's environment or its secret files, and reach the client only through its environment or
 * stdin.
 */
export interface Preset {
  readonly name: PresetName;
  /** For people: `PostgreSQL`. */
  readonly title: string;

  /** Decides by the image and the files on disk; undefined for anything else. Pure. */
  recognises(subject: PresetSubject): Recognition | undefined;

  /**
   * Called just before the data is made still: makes the files on disk recent and recovery short. Changes no
   * data, may be repeated, and needs no undoing. Undefined when there was nothing to do.
   */
  before?(server: PresetServer): Promise<Made | undefined>;

  /**
   * Holds the application's own lock until it is disposed. The container may be paused meanwhile, not
   * stopped. The lock ends when the client dies, which `assertHeld` detects.
   */
  hold?(server: PresetServer): Promise<Hold>;

  /** Logical copies of everything, as named streams. Absent where there are none. */
  dumps?(server: PresetServer): Promise<readonly Dump[]>;

  /** Restores a dump into a running server. Replaces what has the same names, and leaves the rest. */
  restoreDump?(server: PresetServer, dump: DumpToRestore): Promise<void>;

  /**
   * Waits for the server, then queries what proves that its data is there. Never throws if it is unhealthy.
   */
  check(server: PresetServer, options: CheckRequest): Promise<PresetCheck>;
}

/**
 * What to recognise a database by. Either may be missing: a volume without containers, or one not looked at.
 */
export interface PresetSubject {
  readonly container: Pick<Container, 'image' | 'environment' | 'command'> | undefined;
  /** Where the container mounts the volume. */
  readonly mountPath: string | undefined;
  readonly disk: DiskEvidence | undefined;
}

/** Files near a volume's root: path below the root, and the file's first bytes (none for a folder). */
export type DiskEvidence = ReadonlyMap<string, Uint8Array>;

export interface Recognition {
  readonly by: 'image' | 'disk' | 'both';
  /**
   * The folder of the database's files below the root ('' for the root itself), if the disk was looked at.
   */
  readonly folder: string;
  /** The database's files below the volume's root, where the database is a file (SQLite). */
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
  /** The grade of a snapshot of one instant after it: `app` where the data is whole without recovery. */
  readonly grade: Extract<Grade, 'app' | 'crash'>;
  /** A warning about this database: that a part of it lies elsewhere. */
  readonly warning?: string | undefined;
}

export interface Hold extends AsyncDisposable, Made {
  /** The grade of live files read while the lock is held; `torn` when they also have to be still. */
  readonly gradeLive: Extract<Grade, 'app' | 'torn'>;
  /**
   * Throws when the lock was lost meanwhile: what was read is not consistent. Do not call it while the
   * container is paused.
   */
  assertHeld(): Promise<void>;
}

/** One stream of a dump. */
export interface Dump {
  /** File name in the snapshot; begins with the preset's name and a dot: `postgresql.database.shop.sql`. */
  readonly name: string;
  /**
   * Starts the client. The stream throws when the dump is not whole: the client failed, printed nothing, or
   * its end mark is missing. The dump is whole only once it was read to its end without an error.
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
  /** Undefined when the image has no client to check with. */
  readonly isHealthy: boolean | undefined;
  /** From the call to the server's first answer; undefined when there was none. */
  readonly readyAfterMs: number | undefined;
  /** For people: `2 databases`, `14 tables`, `120345 rows`. */
  readonly facts: readonly string[];
  /** The same as numbers, to compare with another time: `rows.shop.public.orders`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Why it is not healthy, or why it could not be checked. */
  readonly problems: readonly string[];
}
