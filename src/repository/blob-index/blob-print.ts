import { randomFillSync } from 'node:crypto';
import { AppError } from '../../model/errors.ts';
import type { BlobType } from '../pack/pack-header.ts';

/** The key of a blob in tables: 126 bits derived from its id under a key, and its type. Four words. */
export type BlobPrint = Int32Array;

export const printWords = 4;

/** Set in the first word of a print, so that it is never 0 or 1. */
const isPrint = 2;

/**
 * Makes prints. Half of an id is enough against accidents: among a billion blobs, two collide once in 10^19
 * times. The key is private to this process: an attacker who fills volumes with chosen files cannot know
 * which would collide, and a blob mistaken for another would be missing from its snapshot.
 */
export class BlobPrinter {
  readonly #key: Int32Array;
  readonly #print = new Int32Array(printWords);

  constructor(key: Int32Array) {
    this.#key = key;
  }

  /** Valid until the next call. */
  print(id: Int32Array, type: BlobType): BlobPrint {
    const print = this.#print;
    for (let i = 0; i < printWords; i++) {
      const low = Math.imul(id[i] ?? 0, this.#key[i] ?? 0);
      print[i] = low + Math.imul(id[i + printWords] ?? 0, this.#key[i + printWords] ?? 0);
    }
    print[0] = ((print[0] ?? 0) & ~3) | isPrint | (type === 'tree' ? 1 : 0);
    return print;
  }
}

/** Odd numbers: multiplying by them loses nothing. */
export function newPrintKey(): Int32Array {
  return randomFillSync(new Int32Array(2 * printWords)).map((word) => word | 1);
}

const idScratch = Buffer.from(new ArrayBuffer(32));
const idScratchWords = new Int32Array(idScratch.buffer, idScratch.byteOffset, 8);

/** An id in hex as eight words, valid until the next call. */
export function idWords(hex: string): Int32Array {
  if (idScratch.write(hex, 'hex') !== 32) throw new AppError('integrity', `"${hex}" is no blob id`);
  return idScratchWords;
}
