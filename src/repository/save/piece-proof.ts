const leastPieceBytes = 256 * 1024;

/** A large file of pages is proven in pieces of this size: one of its chunks, or several small ones. */
export function pieceBytesOf(chunkBytes: number): number {
  return Math.max(leastPieceBytes, chunkBytes);
}

/** A file as it was read: enough to find the pieces that have changed since. */
export interface FileProofs {
  readonly chunkBytes: number;
  readonly sizeBytes: number;
  /** One for each piece, concatenated, from the file's beginning. */
  readonly proofs: Uint8Array;
}

/** The same for a file whose chunks are cut by content: its proven parts begin and end with chunks. */
export interface CutProofs {
  readonly parts: readonly ProvenPart[];
}

export interface ProvenPart {
  readonly bytes: number;
  readonly chunks: number;
  /** Undefined for a hole. */
  readonly proof: Uint8Array | undefined;
  /** The file ended here, which is why its last chunk ends. */
  readonly isEnd: boolean;
}

/**
 * The proofs of large files, by path. A few bytes for each piece: up to 256 GiB take 16 MiB, and no more up
 * to 8 TiB.
 */
export type ProofBook = Map<string, FileProofs | CutProofs>;
