import type { ByteString } from './byte-string.ts';

export type EntryType = 'file' | 'dir' | 'symlink' | 'fifo' | 'socket' | 'chardev' | 'blockdev';

/** One extended attribute; ACLs are `system.posix_acl_access` and `system.posix_acl_default`. */
export interface ExtendedAttribute {
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** A run of bytes of a file that holds data; the gaps between runs are holes. */
export interface DataRun {
  readonly offset: number;
  readonly length: number;
}

/** An entry of a tree with all its metadata: read from disk, stored in an archive, or created on disk. */
export interface Entry {
  /** Relative to the root of the tree, parts joined by `/`, no leading `/`. The root itself is ''. */
  readonly path: ByteString;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky (0o7777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Bytes, for files; 0 otherwise. */
  readonly size: number;
  readonly linkTarget?: ByteString;
  /** The path of an earlier entry that is the same file. */
  readonly hardLinkTo?: ByteString;
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  readonly xattrs?: readonly ExtendedAttribute[];
  /** Present for sparse files only, in order, without overlap. An empty list is a file of one hole. */
  readonly dataRuns?: readonly DataRun[];
}
