import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { AppError } from '../../model/errors.ts';

/** Compresses whole messages with zstd, reusing its contexts. */
export interface Compressor {
  /** Writes a zstd frame of `from` into `to` and returns its length, or 0 when it does not fit. */
  compress(from: Buffer, to: Buffer): number;
  /** Decompresses the frame into `to`, which has exactly its size. `integrity` when the frame is damaged. */
  decompressInto(frame: Buffer, to: Buffer): void;
  /** For frames of unknown size; at most `limitBytes`. */
  decompress(frame: Buffer, limitBytes: number): Buffer;
}

const level = 1;

/**
 * Uses the zstd inside this process with reused contexts where it can be called, otherwise `node:zlib`, which
 * creates a new context for each message.
 */
export function openCompressor(): Compressor {
  return (ofThisThread ??= openNativeCompressor() ?? portableCompressor);
}

/**
 * The contexts take a megabyte that is never collected: a process that opens repositories for days must not
 * create one for each.
 */
let ofThisThread: Compressor | undefined;

export function openNativeCompressor(): Compressor | undefined {
  try {
    const self = koffi.load(null);
    const createC = self.func('void *ZSTD_createCCtx()');
    const createD = self.func('void *ZSTD_createDCtx()');
    const compressC = self.func(
      'size_t ZSTD_compressCCtx(void *ctx, void *to, size_t toSize, const void *from, size_t fromSize, int level)',
    );
    const decompressD = self.func(
      'size_t ZSTD_decompressDCtx(void *ctx, void *to, size_t toSize, const void *from, size_t fromSize)',
    );
    const isError = self.func('unsigned int ZSTD_isError(size_t code)');
    const freeC = self.func('size_t ZSTD_freeCCtx(void *ctx)');
    const freeD = self.func('size_t ZSTD_freeDCtx(void *ctx)');
    const compressing: unknown = createC();
    const decompressing: unknown = createD();
    // The process outlives a worker thread, and its contexts would too.
    if (!isMainThread)
      process.once('exit', () => {
        freeC(compressing);
        freeD(decompressing);
      });
    return {
      compress(from, to) {
        const written: number | bigint = compressC(compressing, to, to.length, from, from.length, level);
        return isError(written) === 0 ? Number(written) : 0;
      },
      decompressInto(frame, to) {
        if (to.length === 0) return portableCompressor.decompressInto(frame, to);
        const written: number | bigint = decompressD(decompressing, to, to.length, frame, frame.length);
        if (isError(written) !== 0 || Number(written) !== to.length) throw damagedFrame();
      },
      decompress: (frame, limitBytes) => portableCompressor.decompress(frame, limitBytes),
    };
  } catch {
    return undefined;
  }
}

export const portableCompressor: Compressor = {
  compress(from, to) {
    const frame = zstdCompressSync(from, { params: { [constants.ZSTD_c_compressionLevel]: level } });
    if (frame.length > to.length) return 0;
    frame.copy(to);
    return frame.length;
  },
  decompressInto(frame, to) {
    const plain = portableCompressor.decompress(frame, Math.max(to.length, 1));
    if (plain.length !== to.length) throw damagedFrame();
    plain.copy(to);
  },
  decompress(frame, limitBytes) {
    try {
      return zstdDecompressSync(frame, { maxOutputLength: limitBytes });
    } catch (error) {
      throw new AppError('integrity', 'Compressed data is damaged', { cause: error });
    }
  },
};

function damagedFrame(): AppError {
  return new AppError('integrity', 'Compressed data is damaged');
}
