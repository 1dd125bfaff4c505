import type { Room } from '../lib/room.ts';

/** The kinds of files that a repository has. `config` is a single file; the others are named by the SHA-256 of their content. */
export type FileType = 'config' | 'keys' | 'locks' | 'snapshots' | 'index' | 'data';

/** A limit of the rate at which bytes go. */
export interface Pace {
  /** Returns when that many bytes may go. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** A file of `data` that holds trees: it is read again and again, so that a copy at hand is worth its room. */
  readonly holds?: 'trees' | undefined;
  /** Bytes go no faster than this lets them. */
  readonly pace?: Pace | undefined;
}

export interface LoadOptions extends StoreOptions {
  readonly room?: Room;
}

export interface StoredFile {
  /** 64 hex digits; '' for the config. */
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was written, by the store's clock; milliseconds since 1970. Absent where the store does not say. */
  readonly modifiedMs?: number | undefined;
}

/** In milliseconds since 1970, by a clock that may be another than this machine's. */
export interface StoreTimes {
  readonly nowMs: number;
  /** Undefined where the store tells the time only. */
  readonly writtenMs: number | undefined;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file that is sent as it is made. */
export interface FileInMaking {
  /** The bytes are the caller's again when it returns. When it throws, nothing is left of the file. */
  write(bytes: Uint8Array): void;
  /** Gives the file its name. What `save` promises is true of it: complete and durable, or not to be seen. */
  finish(name: string): Promise<void>;
  /** Removes what was written; harmless once the file is finished. */
  abandon(): void;
}

/**
 * Where a repository's files live. Implementations are siblings of this file.
 *
 * Files are written once and never changed. `save` is all or nothing: when it returns, the file is complete and
 * durable, and when it throws or is killed, no file of that name can be seen. Saving a file that exists, with the
 * same content, is harmless. A config that is there is not replaced by another:
 * `exists`. Behind a server that knows no such condition (rclone) the last of two at the same moment stays. Every call may be repeated. A file that is missing throws `not-found`.
 *
 * What may pass by itself (no connection, a server that is overloaded) throws `unavailable`; nothing else is worth
 * trying again. What the store does not allow throws `denied`. A store that holds connections opens them when they are
 * needed and closes them when it is disposed; it can be used again after that.
 */
export interface Store {
  /** For messages: a path or URL without secrets. */
  readonly location: string;

  /** The same store without what is kept of it at hand, for those who must see what is really there. */
  readonly direct?: Store;

  /** Makes the layout of an empty repository. Fails with `exists` when a config, or something foreign, is there. */
  create(options?: StoreOptions): Promise<void>;

  save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void>;

  /**
   * Begins a file of `data` whose name is known at its end only, so that all of it need not be in memory. Absent where
   * a file has to be there as a whole before it is sent.
   */
  begin?(): FileInMaking;

  /** The whole file, or exactly the range: a file that is too short for it throws `integrity`. In `room` where that is given and serves. */
  load(type: FileType, name: string, range?: ByteRange, options?: LoadOptions): Promise<Buffer>;

  /** In no order. Files that are not of the repository are left out. */
  list(type: FileType, options?: StoreOptions): Promise<StoredFile[]>;

  exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean>;

  /** When a file was written, and what time it is, by the store's own clock. Absent where the store tells neither. */
  times?(type: FileType, name: string, options?: StoreOptions): Promise<StoreTimes>;

  /**
   * Removes what writes that were killed have left, where such a thing can be seen; the caller holds a lock. A file in the
   * making may be as old as the work that makes it: where its age alone does not tell it from a leftover, everything stays
   * while another program holds a lock. Never fails for it.
   */
  removeLeftovers?(options?: StoreOptions): Promise<void>;

  /** Permanent. Removing what is not there is no error. */
  remove(type: FileType, name: string, options?: StoreOptions): Promise<void>;

  [Symbol.asyncDispose]?(): Promise<void>;
}
