import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Compressor, openCompressor, openNativeCompressor, portableCompressor } from './compression.ts';

function native(): Compressor {
  const compressor = openNativeCompressor();
  if (!compressor) throw new Error('The zstd of this process cannot be called');
  return compressor;
}

const both = [
  ['native', native()],
  ['portable', portableCompressor],
] as const;

const text = Buffer.from('the same words again and again, '.repeat(200));

function compressed(compressor: Compressor, content: Buffer): Buffer {
  const room = Buffer.alloc(content.length + 1000);
  return room.subarray(0, compressor.compress(content, room));
}

test('this process calls its own zstd', () => {
  expect(openCompressor()).not.toBe(portableCompressor);
});

describe.each(both)('the %s way', (_name, compressor) => {
  test.each(both)('makes frames that the %s way reads', (_other, reader) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 2000 }),
        fc.integer({ min: 1, max: 20 }),
        (part, times) => {
          const content = Buffer.concat(Array<Uint8Array>(times).fill(part));
          const frame = compressed(compressor, content);
          const out = Buffer.alloc(content.length);
          reader.decompressInto(frame, out);
          expect(out.equals(content)).toBe(true);
          expect(reader.decompress(frame, content.length).equals(content)).toBe(true);
        },
      ),
    );
  });

  test('compresses compressible data', () => {
    expect(compressed(compressor, text).length).toBeLessThan(text.length / 10);
  });

  test('returns 0 for a frame that does not fit, and writes nothing beyond its buffer', () => {
    const content = randomBytes(10_000);
    const room = Buffer.alloc(10_100, 0xaa);
    expect(compressor.compress(content, room.subarray(0, 9_999))).toBe(0);
    expect(room.subarray(9_999)).toEqual(Buffer.alloc(101, 0xaa));
    expect(compressor.compress(text, room.subarray(0, 0))).toBe(0);
  });

  test('makes a frame of nothing that opens to nothing', () => {
    const frame = compressed(compressor, Buffer.alloc(0));
    expect(frame.length).toBeGreaterThan(0);
    compressor.decompressInto(frame, Buffer.alloc(0));
    expect(compressor.decompress(frame, 10)).toEqual(Buffer.alloc(0));
  });

  test.each([
    ['one byte less', text.length - 1],
    ['one byte more', text.length + 1],
    ['nothing', 0],
    ['far more', 1_000_000],
  ])('refuses a frame whose content has not the size that is promised: %s', (_what, size) => {
    const frame = compressed(compressor, text);
    expect(() => compressor.decompressInto(frame, Buffer.alloc(size))).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  });

  test('refuses a frame that is no frame, or that breaks off', () => {
    const frame = compressed(compressor, text);
    for (const damaged of [Buffer.alloc(0), randomBytes(100), frame.subarray(0, 10), frame.subarray(0, -1)]) {
      expect(() => compressor.decompressInto(damaged, Buffer.alloc(text.length))).toThrow(
        expect.objectContaining({ code: 'integrity' }),
      );
      expect(() => compressor.decompress(damaged, text.length)).toThrow(
        expect.objectContaining({ code: 'integrity' }),
      );
    }
  });

  test('survives a frame with any byte altered', () => {
    const frame = compressed(compressor, Buffer.from(text.subarray(0, 500)));
    const out = Buffer.alloc(500);
    for (let at = 0; at < frame.length; at++) {
      const altered = Buffer.from(frame);
      altered.writeUInt8(altered.readUInt8(at) ^ 0x41, at);
      try {
        compressor.decompressInto(altered, out);
      } catch (error) {
        expect(error).toMatchObject({ code: 'integrity' });
      }
    }
  });

  test('does not fill memory with a small frame that opens to a lot', () => {
    const bomb = compressed(compressor, Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => compressor.decompress(bomb, 1_000_000)).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
    expect(() => compressor.decompressInto(bomb, Buffer.alloc(1_000_000))).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  });
});
