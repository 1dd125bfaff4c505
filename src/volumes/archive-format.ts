import { constants, createGunzip, createGzip, createZstdCompress } from 'node:zlib';
import { AppError } from '../model/errors.ts';
import { decompressZstd, through } from './decompress-zstd.ts';
import type { ArchiveFormat } from './host-volumes.ts';

const chunkSize = 256 * 1024;

/**
 * The format that a file name asks for; undefined for an unknown ending. Throws `unsupported` for known ones
 * that are not supported.
 */
export function formatOfName(name: string): ArchiveFormat | undefined {
  if (/\.(tar\.gz|tgz)$/i.test(name)) return 'tar.gz';
  if (/\.(tar\.zst|tzst)$/i.test(name)) return 'tar.zst';
  if (/\.tar$/i.test(name)) return 'tar';
  const other = /\.(tar\.(?:xz|bz2|lz4|lzma|br)|txz|tbz2?|zip|7z)$/i.exec(name);
  if (other === null) return undefined;
  throw new AppError('unsupported', `Cannot write "${name}": the format "${other[1]}" is not supported`, {
    hint: 'Use a name that ends in .tar, .tar.gz or .tar.zst.',
  });
}

export function compressed(tar: AsyncIterable<Uint8Array>, format: ArchiveFormat): AsyncIterable<Uint8Array> {
  if (format === 'tar') return tar;
  if (format === 'tar.gz') return through(tar, createGzip({ chunkSize }));
  return through(tar, createZstdCompress({ chunkSize, params: { [constants.ZSTD_c_checksumFlag]: 1 } }));
}

const magics = [
  { format: 'tar.gz', bytes: [0x1f, 0x8b] },
  { format: 'tar.zst', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { format: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { format: 'lz4', bytes: [0x04, 0x22, 0x4d, 0x18] },
  { format: 'zip', bytes: [0x50, 0x4b, 0x03, 0x04] },
] as const;

/** The tar stream in an archive, whose format is recognised by its first bytes. Damage is `integrity`. */
export async function* decompressed(
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = archive[Symbol.asyncIterator]();
  try {
    const { head, ended } = await readHead(chunks);
    const format =
      magics.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte))?.format ?? 'tar';
    const whole = rejoined(head, ended ? undefined : chunks);
    if (format === 'tar') yield* whole;
    else if (format === 'tar.gz') yield* through(whole, createGunzip({ chunkSize }));
    else if (format === 'tar.zst') yield* decompressZstd(whole, chunkSize);
    else {
      throw new AppError(
        'unsupported',
        `Cannot read the archive: it is compressed with ${format}, which is not supported`,
        {
          hint: 'Decompress it first; tar, tar.gz and tar.zst are read as they are.',
        },
      );
    }
  } catch (error) {
    throw asDamage(error);
  } finally {
    await chunks.return?.();
  }
}

async function readHead(chunks: AsyncIterator<Uint8Array>): Promise<{ head: Buffer; ended: boolean }> {
  let head = Buffer.alloc(0);
  while (head.length < 8) {
    const next = await chunks.next();
    if (next.done === true) return { head, ended: true };
    head = head.length === 0 ? Buffer.from(next.value) : Buffer.concat([head, next.value]);
  }
  return { head, ended: false };
}

async function* rejoined(
  head: Buffer,
  rest: AsyncIterator<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  if (rest !== undefined) yield* { [Symbol.asyncIterator]: () => rest };
}

/** zlib's errors have codes like Z_DATA_ERROR and ZSTD_error_checksum_wrong. */
function asDamage(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(Z_|ZSTD_|ERR_ZLIB)/.test(code)) return error;
  const detail = error instanceof Error ? error.message : undefined;
  return new AppError(
    'integrity',
    'Cannot read the archive: its compressed data is damaged or ends too early',
    { detail, cause: error },
  );
}
