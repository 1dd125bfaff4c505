import type { ByteString } from '../../model/byte-string.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { BlobTable } from '../blob-index/blob-table.ts';
import type { SharedTables } from '../blob-index/blob-tables.ts';
import type { IndexEntry } from '../blob-index/index-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { BlobType } from '../pack/pack-header.ts';
import type { IdList } from '../format/id-list.ts';
import type { StoreAddress } from '../stores/open-store.ts';

/** What a save worker is started with. */
export interface SaveWorkerData {
  readonly store: StoreAddress;
  readonly masterKey: MasterKey;
  readonly polynomial: bigint;
  readonly tables: SharedTables;
  readonly dryRun: boolean;
  /** For the proofs of pieces. */
  readonly proofKey: Uint8Array;
}

/** A file of at most this size is read at once, by one worker. */
export const wholeFileBytes = 8 * 1024 * 1024;

/** A larger file is read in pieces of at most this size, by all workers in turn. */
export const segmentBytes = 16 * 1024 * 1024;

/** Where chunks end at known places, nothing is read twice for being small. */
export const pagedSegmentBytes = 8 * 1024 * 1024;

export type SaveTask =
  /** Reads and stores small files of one directory, which is open. */
  | { readonly kind: 'files'; readonly directory: number; readonly names: readonly ByteString[] }
  /** Reads a piece of an open file from where a chunk starts. Tells at once, as interim, where the next piece starts. */
  | {
      readonly kind: 'segment';
      readonly fd: number;
      readonly start: number;
      /** Where the file ended when it was opened. */
      readonly end: number;
      /** Nothing is read from there on: a place where a chunk may end. Undefined reads as much as there is room for. */
      readonly limit?: number | undefined;
      /** For a file that is cut into chunks of one size. */
      readonly chunkBytes: number | undefined;
      /** Gives the proofs of its pieces too. */
      readonly prove: boolean;
    }
  /** Reads a piece of an open file again, and stores what is not as its proofs say; what has no proof is new. */
  | {
      readonly kind: 'recheck';
      readonly fd: number;
      readonly start: number;
      readonly end: number;
      readonly chunkBytes: number;
      readonly proofs: Uint8Array;
    }
  /** Reads a part of an open file again, and says whether it is as its proof says. */
  | {
      readonly kind: 'compare';
      readonly fd: number;
      readonly start: number;
      readonly bytes: number;
      readonly proof: Uint8Array;
    }
  /** Stores bytes that are here already. The lengths cut `content` into blobs. */
  | {
      readonly kind: 'blobs';
      readonly type: BlobType;
      readonly content: Uint8Array;
      readonly lengths: readonly number[];
    }
  /** Waits for the packs that are on their way to the store. */
  | { readonly kind: 'drain' }
  /** Stores the packs that are not full. */
  | { readonly kind: 'flush' };

/** What storing something did. */
export interface Stored {
  /** Bytes that were not in the repository, before and after compression. */
  readonly addedBytes: number;
  readonly storedBytes: number;
}

export interface FileOutcome {
  /** The encoded node; undefined when there is none to keep. */
  readonly node: ByteString | undefined;
  readonly size: number;
  readonly problem: SaveProblem | undefined;
  /** Its attributes that are in no snapshot. */
  readonly flags?: number;
  /** The file is too large for this way now. */
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
  /** For 'segment' that proves, one after the other; one for all of it where content says how it is cut. */
  readonly proofs: Uint8Array | undefined;
  /** It was not read: it is a hole, and so zeros. */
  readonly isHole?: boolean;
  /** For 'segment': the file ends with it. */
  readonly isEnd: boolean;
  /** For 'compare'. */
  readonly isSame: boolean;
  /** For 'recheck', in order: undefined for a piece that is as it was. */
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
