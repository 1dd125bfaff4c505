import type { ByteString } from '../../model/byte-string.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { BlobTable } from '../blob-index/blob-table.ts';
import type { SharedTables } from '../blob-index/blob-tables.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { BlobType } from '../pack/pack-header.ts';
import type { IdList } from '../format/id-list.ts';
import type { StoreAddress } from '../stores/open-store.ts';

/** The data with which a save worker is started. */
export interface SaveWorkerData {
  readonly store: StoreAddress;
  readonly masterKey: MasterKey;
  readonly polynomial: bigint;
  readonly tables: SharedTables;
  readonly dryRun: boolean;
  /** Key of the proofs. */
  readonly proofKey: Uint8Array;
}

/** A file of at most this size is read at once, by one worker. */
export const wholeFileBytes = 8 * 1024 * 1024;

/** A larger file is read in pieces of at most this size, by all workers in turn. */
export const segmentBytes = 16 * 1024 * 1024;

/** Where chunks end at known places, small pieces cause no double reading. */
export const pagedSegmentBytes = 8 * 1024 * 1024;

export type SaveTask =
  /** Reads and stores small files of an open directory. */
  | { readonly kind: 'files'; readonly directory: number; readonly names: readonly ByteString[] }
  /**
   * Reads a piece of an open file from the start of a chunk. Reports the start of the next piece at once, as
   * interim.
   */
  | {
      readonly kind: 'segment';
      readonly fd: number;
      readonly start: number;
      /** The end of the file when it was opened. */
      readonly end: number;
      /** Reading stops here, where a chunk may end. Undefined reads until the buffer is full. */
      readonly limit?: number | undefined;
      /** For a file that is cut into chunks of one size. */
      readonly chunkBytes: number | undefined;
      /** Also returns proofs of its pieces. */
      readonly prove: boolean;
    }
  /**
   * Reads a piece of an open file again, and stores what differs from its proofs; what has no proof is new.
   */
  | {
      readonly kind: 'recheck';
      readonly fd: number;
      readonly start: number;
      readonly end: number;
      readonly chunkBytes: number;
      readonly proofs: Uint8Array;
    }
  /** Reads a part of an open file again, and compares it with its proof. */
  | {
      readonly kind: 'compare';
      readonly fd: number;
      readonly start: number;
      readonly bytes: number;
      readonly proof: Uint8Array;
    }
  /** Stores given bytes. The lengths cut `content` into blobs. */
  | {
      readonly kind: 'blobs';
      readonly type: BlobType;
      readonly content: Uint8Array;
      readonly lengths: readonly number[];
    }
  /** Waits for the packs being uploaded. */
  | { readonly kind: 'drain' }
  /** Stores the partly filled packs. */
  | { readonly kind: 'flush' };

/** What was added by storing something. */
export interface Stored {
  /** Bytes that were new to the repository, before and after compression. */
  readonly addedBytes: number;
  readonly storedBytes: number;
}

export interface FileOutcome {
  /** The encoded node; undefined when there is none to keep. */
  readonly node: ByteString | undefined;
  readonly size: number;
  readonly problem: SaveProblem | undefined;
  /** Its attributes that no snapshot holds. */
  readonly flags?: number;
  /** The file has grown too large for this task. */
  readonly tooLarge?: boolean;
}

export interface SaveTaskResult extends Stored {
  readonly files: readonly FileOutcome[];
  /** Ids of the blobs in order, for 'blobs'. */
  readonly ids: readonly string[];
  /** The same for 'segment'. */
  readonly content: IdList;
  /** Bytes read, for 'segment' and 'recheck'. */
  readonly bytes: number;
  /**
   * For 'segment' with `prove`: the proofs in order; one for the whole piece where content decides the cuts.
   */
  readonly proofs: Uint8Array | undefined;
  /** The piece was not read, because it is a hole. */
  readonly isHole?: boolean;
  /** For 'segment': the file ends with it. */
  readonly isEnd: boolean;
  /** For 'compare'. */
  readonly isSame: boolean;
  /** For 'recheck', in order: undefined for an unchanged piece. */
  readonly pieces: readonly (ChangedPiece | undefined)[];
}

export interface ChangedPiece {
  readonly content: IdList;
  readonly bytes: number;
  readonly proof: Uint8Array;
}

export interface SegmentBoundary {
  readonly next: number;
  readonly isLast: boolean;
}

export interface PackStoredEvent {
  readonly pack: IndexEntry;
}

export interface NewTableNotice {
  readonly table: BlobTable;
}
