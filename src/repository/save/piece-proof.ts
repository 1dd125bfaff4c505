import { createCipheriv, randomBytes } from 'node:crypto';

/** A large file of pages is proven in pieces of this size, a multiple of its chunks'. */
export const pieceBytes = 256 * 1024;
export const proofBytes = 16;

/**
 * The code of a piece of a file under a key of this save alone: GMAC, which takes a third of the time of hashing the
 * piece's chunks. Whoever does not know the key cannot make another piece with the same code, and codes are kept in
 * memory only, so one nonce for all of them gives nothing away.
 */
export function proofOf(key: Uint8Array, piece: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  cipher.setAAD(piece);
  cipher.final();
  return cipher.getAuthTag();
}

export function makeProofKey(): Uint8Array {
  return new Uint8Array(randomBytes(16));
}

const nonce = Buffer.alloc(12);

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
