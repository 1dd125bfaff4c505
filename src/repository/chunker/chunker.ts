import { type Polynomial, rollingTables } from './polynomial.ts';
import { assembleScanner, dataStart, laneBytes, laneCount, type ScannerExports } from './scanner-module.ts';

/** Finds the ends of chunks. */
export interface Cutter {
  /**
   * The end of the chunk that starts at `start`, where data ends at `end` (offsets in a buffer). Undefined
   * when that takes more data; with `isLast` the end of the data ends the chunk.
   */
  findEnd(start: number, end: number, isLast: boolean): number | undefined;
}

/** Chunks of one size. */
export function fixedCutter(chunkBytes: number): Cutter {
  return {
    findEnd(start, end, isLast) {
      if (end - start >= chunkBytes) return start + chunkBytes;
      return isLast ? end : undefined;
    },
  };
}

export const minChunkBytes = 512 * 1024;
export const maxChunkBytes = 8 * 1024 * 1024;

/** On average a cut each MiB after the minimum, as in restic's chunker. */
const splitMask = (1n << 20n) - 1n;

/**
 * Finds the ends of content-defined chunks, as restic's chunker does with the same polynomial. The data lies
 * in `buffer`, the scanner's own memory: read files straight into it, so that nothing is copied.
 */
export class Chunker implements Cutter {
  readonly buffer: Buffer;
  readonly #scanner: ScannerExports;

  constructor(polynomial: Polynomial, bufferBytes: number) {
    const pages = Math.ceil((dataStart + bufferBytes) / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const tables = rollingTables(polynomial);
    new BigUint64Array(memory.buffer, 0, 256).set(tables.out);
    new BigUint64Array(memory.buffer, 2048, 256).set(tables.mod);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(assembleScanner()), { env: { memory } });
    this.#scanner = instance.exports as unknown as ScannerExports;
    this.buffer = Buffer.from(memory.buffer, dataStart, bufferBytes);
  }

  /**
   * The end of the chunk that starts at `start`, where data ends at `end` (offsets in `buffer`). Undefined
   * when that takes more data; with `isLast` the end of the data ends the chunk.
   */
  findEnd(start: number, end: number, isLast: boolean): number | undefined {
    const limit = Math.min(end, start + maxChunkBytes);
    if (end - start > minChunkBytes || (end - start === minChunkBytes && !isLast)) {
      const cut = this.#scan(start + minChunkBytes - 1, limit);
      if (cut >= 0) return cut + 1;
      if (limit === start + maxChunkBytes) return limit;
    }
    return isLast ? end : undefined;
  }

  #scan(from: number, to: number): number {
    const blockBytes = laneBytes * laneCount;
    let at = from;
    for (; at + blockBytes <= to; at += blockBytes) {
      const hit = this.#scanner.scanBlock(dataStart + at, splitMask);
      if (hit >= 0) return hit - dataStart;
    }
    const hit = this.#scanner.scanTail(dataStart + at, dataStart + to, splitMask);
    return hit < 0 ? -1 : hit - dataStart;
  }
}
