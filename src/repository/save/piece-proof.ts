/** A large file of pages is proven in pieces of this size, a multiple of its chunks'. */
export const pieceBytes = 256 * 1024;

/** What a file was when it was read: enough to find the pieces that have changed since. */
export interface FileProofs {
  readonly chunkBytes: number;
  readonly sizeBytes: number;
  /** One after the other, from the file's beginning. */
  readonly proofs: Uint8Array;
}

/** The same of a file whose chunks end where its content says: it is proven in parts that begin and end with chunks. */
export interface CutProofs {
  readonly parts: readonly ProvenPart[];
}

export interface ProvenPart {
  readonly bytes: number;
  readonly chunks: number;
  readonly proof: Uint8Array;
  /** The file ended here: its last chunk ends for no other reason. */
  readonly isEnd: boolean;
}

/** The proofs of large files, by their paths. A few bytes for each piece: a terabyte takes 64 MiB. */
export type ProofBook = Map<string, FileProofs | CutProofs>;
