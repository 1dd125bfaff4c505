import type { Room } from '../../lib/room.ts';

/** The kinds of files that a repository has. `config` is a single file; the others are named by the SHA-256 of their content. */
export type FileType = 'config' | 'keys' | 'locks' | 'snapshots' | 'index' | 'data';

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface StoredFile {
  /** 64 hex digits; '' for the config. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Where a repository's files live. Implementations are siblings of this file.
 *
 * Files are written once and never changed. `save` is all or nothing: when it returns, the file is complete and
 * durable, and when it throws or is killed, no file of that name can be seen. Saving a file that exists, with the
 * same content, is harmless. Every call may be repeated. A file that is missing throws `not-found`.
 */
export interface Store {
  /** For messages: a path or URL without secrets. */
  readonly location: string;

  /** Makes the layout of an empty repository. Fails with `exists` when a config is there. */
  create(options?: StoreOptions): Promise<void>;

  save(type: FileType, name: string, content: Uint8Array, options?: StoreOptions): Promise<void>;

  /** The whole file, or exactly the range: a file that is too short for it throws `integrity`. In `room` where that is given and serves. */
  load(
    type: FileType,
    name: string,
    range?: ByteRange,
    options?: StoreOptions & { readonly room?: Room },
  ): Promise<Buffer>;

  /** In no order. Files that are not of the repository are left out. */
  list(type: FileType, options?: StoreOptions): Promise<StoredFile[]>;

  exists(type: FileType, name: string, options?: StoreOptions): Promise<boolean>;

  /** Removes what writes that were killed have left, where such a thing can be seen. Never fails for it. */
  removeLeftovers?(options?: StoreOptions): Promise<void>;

  /** Permanent. Removing what is not there is no error. */
  remove(type: FileType, name: string, options?: StoreOptions): Promise<void>;
}
