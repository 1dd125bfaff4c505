import { randomBytes } from 'node:crypto';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressed, decompressed, formatOfName } from './archive-format.ts';

const formats = ['tar', 'tar.gz', 'tar.zst'] as const;
const zstd = (bytes: Buffer) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

describe('decompressed()', () => {
  test('returns what compressed() was given, however it is split', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(200_000, 300_001).map((length) => randomBytes(length)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...formats),
        content,
        fc.integer({ min: 1, max: 70_000 }),
        async (format, bytes, cut) => {
          // A tar archive never starts like a compressed one.
          const plain = Buffer.concat([Buffer.from('name'), bytes]);
          // Small data also comes byte by byte; for large data, that would be a hundred thousand pieces.
          const least = Math.ceil(plain.length / 1000);
          const archive = await gather(compressed(inPieces(plain, Math.max(cut, least)), format));
          expect(
            (await gather(decompressed(inPieces(archive, Math.max(cut, least, 50))))).equals(plain),
          ).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstd],
  ])('reads several parts of %s that were joined', async (_, compress) => {
    const parts = [
      Buffer.alloc(300_000, 'abc'),
      Buffer.alloc(0),
      randomBytes(200_000),
      Buffer.alloc(5_000_000),
    ];
    const archive = Buffer.concat(parts.map((part) => compress(part)));
    expect((await gather(decompressed(inPieces(archive, 1000)))).equals(Buffer.concat(parts))).toBe(true);
  });

  test('skips zstd frames without data', async () => {
    const skipped = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const archive = Buffer.concat([zstd(Buffer.from('one')), skipped, zstd(Buffer.from('two'))]);
    expect((await gather(decompressed(inPieces(archive, 7)))).toString()).toBe('onetwo');
  });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstd],
  ])('refuses %s that is damaged, cut, or followed by something else', async (_, compress) => {
    const good = compress(randomBytes(200_000));
    const damaged = Buffer.from(good);
    damaged[100_000] = (damaged[100_000] ?? 0) ^ 1;
    for (const bad of [
      good.subarray(0, -1),
      good.subarray(0, 100_000),
      damaged,
      Buffer.concat([good, Buffer.from('garbage')]),
    ]) {
      await expect(gather(decompressed(inPieces(bad, 60_000)))).rejects.toMatchObject({ code: 'integrity' });
    }
  });

  test('closes its source when its consumer stops early', async () => {
    for (const format of formats) {
      let closed = false;
      const archive = await gather(compressed(inPieces(randomBytes(2_000_000), 65_536), format));
      const source = async function* () {
        try {
          yield* inPieces(archive, 1000);
        } finally {
          closed = true;
        }
      };
      for await (const _ of decompressed(source())) break;
      expect(closed, format).toBe(true);
    }
  });

  test('passes on the error of its source', async () => {
    const failing = async function* () {
      yield gzipSync(randomBytes(100_000)).subarray(0, 50_000);
      throw new RangeError('from the source');
    };
    await expect(gather(decompressed(failing()))).rejects.toThrow('from the source');
  });
});

describe('formatOfName()', () => {
  test.each([
    ['a.tar', 'tar'],
    ['a.TAR.GZ', 'tar.gz'],
    ['a.tgz', 'tar.gz'],
    ['a.tar.zst', 'tar.zst'],
    ['backup', undefined],
    ['a.gz', undefined],
  ])('of %s is %s', (name, format) => expect(formatOfName(name)).toBe(format));

  test('names a format that is not supported', () => {
    expect(() => formatOfName('a.tar.xz')).toThrow('"tar.xz" is not supported');
  });
});

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}
