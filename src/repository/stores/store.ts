import type { Room } from '../lib/room.ts';

/**
 * The kinds of files in a repository. `config` is a single file; the others are named by the SHA-256 of their
 * content.
 */
export type FileType = 'config' | 'keys' | 'locks' | 'snapshots' | 'index' | 'data';

/** A rate limit. */
export interface Pace {
  /** Resolves when that many bytes may be transferred. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** A file of `data` that holds trees, which is read so often that it is worth caching. */
  readonly holds?: 'trees' | undefined;
  /** Limits the rate of the transfer. */
  readonly pace?: Pace | undefined;
}

export interface LoadOptions extends StoreOptions {
  readonly room?: Room;
}

export interface StoredFile {
  /** 64 hex digits; '' for the config. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * When the file was written, by the store's clock; milliseconds since 1970. Absent where the store does not
   * say.
   */
  readonly modifiedMs?: number | undefined;
}

/** In milliseconds since 1970, by a clock that may differ from this machine's. */
export interface StoreTimes {
  readonly nowMs: number;
  /** Undefined where the store gives only the current time. */
  readonly writtenMs: number | undefined;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file that is sent while it is being made. */
export interface FileInMaking {
  /** On return the caller may reuse the bytes. When it throws, nothing is left of the file. */
  write(bytes: Uint8Array): void;
  /** Gives the file its name, with the guarantees of `save`: complete and durable, or not visible. */
  finish(name: string): Promise<void>;
  /** Removes the file; harmless once it is finished. */
  abandon(): void;
}

/**
 * Where a repository's files live. Implementations are siblings of this file.
 *
 * Files are written once and never changed. `save` is all or nothing: on return the file is complete and
 * durable, and when it throws or is killed, no file of that name is visible. Saving an existing file again,
 * with the same content, is harmless. An existing config is not replaced by another: `exists`. Behind a
 * server without such a condition (rclone) the last of two concurrent writes wins. Every call may be
 * repeated. A missing file throws `not-found`.
 *
 * Failures that may pass by themselves (no connection, an overloaded server) throw `unavailable`; nothing
 * else is worth retrying. A refusal by the store throws `denied`. A store with connections opens them on
 * demand and closes them when it is disposed; it can be used again after that.
 */
export interface Store {
  /** For messages: a path or URL without secrets. */
  readonly location: string;

  /** The same store without its cache, for callers that must see what is really stored. */
  readonly direct?: Store;

  /**
   * Creates the layout of an empty repository. Fails with `exists` when there is a config, or anything
   * foreign.
   */
  create(options?: StoreOptions): Promise<void>;

  save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void>;

  /**
   * Begins a file of `data` whose name is known only at its end, so that it need not be in memory as a whole.
   * Absent where a file can only be sent complete.
   */
  begin?(): FileInMaking;

  /**
   * The whole file, or exactly the range: a file that is too short for it throws `integrity`. Uses `room`
   * when that is given and suitable.
   */
  load(type: FileType, name: string, range?: ByteRange, options?: LoadOptions): Promise<Buffer>;

  /** In no particular order, without files that do not belong to a repository. */
  list(type: FileType, options?: StoreOptions): Promise<StoredFile[]>;

  exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean>;

  /**
   * When a file was written, and the current time, both by the store's clock. Absent where the store gives
   * neither.
   */
  times?(type: FileType, name: string, options?: StoreOptions): Promise<StoreTimes>;

  /**
   * Removes the leftovers of killed writes, where these can be recognized; the caller holds a lock. A file
   * being made may be as old as the work that makes it: where age alone does not distinguish it from a
   * leftover, everything stays while another program holds a lock. Never throws because of leftovers.
   */
  removeLeftovers?(options?: StoreOptions): Promise<void>;

  /** Permanent. Removing a missing file is no error. */
  remove(type: FileType, name: string, options?: StoreOptions): Promise<void>;

  [Symbol.asyncDispose]?(): Promise<void>;
}
