import type { ByteString } from '../../model/byte-string.ts';
import { makeProofKey, proofBytes, proofOf } from '../../lib/keyed-proof.ts';

/** The size of the pieces of which codes are kept. */
export const pieceBytes = 256 << 10;

/** Codes of a file's contents, piece by piece. */
export interface PieceCodes {
  of(piece: Uint8Array): Uint8Array;
  isKnown(offset: number, code: Uint8Array): boolean;
  note(offset: number, code: Uint8Array): void;
  forget(offset: number): void;
  /** Keeps only the codes of pieces that are whole within that many bytes. */
  cut(bytes: number): void;
}

/** Codes of files by path: sixteen bytes for each piece, so a terabyte takes 64 MiB. */
export class CodeBook {
  readonly #key = makeProofKey();
  readonly #files = new Map<ByteString, FileCodes>();

  file(path: ByteString): PieceCodes {
    let codes = this.#files.get(path);
    if (codes === undefined) this.#files.set(path, (codes = new FileCodes(this.#key)));
    return codes;
  }

  forget(path: ByteString): void {
    this.#files.delete(path);
  }
}

const unknown = Buffer.alloc(proofBytes);

class FileCodes implements PieceCodes {
  readonly #key: Uint8Array;
  #codes = Buffer.alloc(0);

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  of(piece: Uint8Array): Uint8Array {
    return proofOf(this.#key, piece);
  }

  isKnown(offset: number, code: Uint8Array): boolean {
    const at = placeOf(offset);
    return this.#codes.length > at && this.#codes.compare(code, 0, proofBytes, at, at + proofBytes) === 0;
  }

  note(offset: number, code: Uint8Array): void {
    const at = placeOf(offset);
    const needed = at + proofBytes;
    if (this.#codes.length < needed) {
      const grown = Buffer.alloc(Math.max(needed, this.#codes.length * 2));
      this.#codes.copy(grown);
      this.#codes = grown;
    }
    this.#codes.set(code, at);
  }

  forget(offset: number): void {
    const at = placeOf(offset);
    if (this.#codes.length > at) this.#codes.set(unknown, at);
  }

  cut(bytes: number): void {
    const kept = Math.floor(bytes / pieceBytes) * proofBytes;
    if (this.#codes.length > kept) this.#codes = Buffer.from(this.#codes.subarray(0, kept));
  }
}

function placeOf(offset: number): number {
  return (offset / pieceBytes) * proofBytes;
}
