import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sealOverhead } from '../crypto/seal.ts';
import {
  type BlobPlace,
  decodePackHeader,
  encodePackHeader,
  headerLengthOf,
  packSize,
} from './pack-header.ts';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const blobs = fc
  .array(
    fc.record({
      id,
      type: fc.constantFrom<BlobPlace['type']>('data', 'tree'),
      length: fc.integer({ min: 0, max: 2 ** 31 }),
      uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    }),
    { maxLength: 20 },
  )
  .map((list) => {
    let offset = 0;
    return list.map((blob) => {
      const place = { ...blob, offset };
      offset += blob.length;
      return place;
    });
  });

test('decoding a header returns its blobs', () => {
  fc.assert(
    fc.property(blobs, (list) => {
      const header = encodePackHeader(list);
      expect(decodePackHeader(header)).toEqual(list);
      const content = list.reduce((sum, { length }) => sum + length, 0);
      expect(packSize(list)).toBe(content + header.length + sealOverhead + 4);
    }),
  );
});

test('a header has the bytes that the format says', () => {
  const ids = ['11'.repeat(32), '22'.repeat(32)] as const;
  const header = encodePackHeader([
    { id: ids[0], type: 'tree', offset: 0, length: 0x0102, uncompressedLength: 0 },
    { id: ids[1], type: 'data', offset: 0x0102, length: 3, uncompressedLength: 0x0a0b0c0d },
  ]);
  expect(header.toString('hex')).toBe(`01${'02010000'}${ids[0]}02${'03000000'}${'0d0c0b0a'}${ids[1]}`);
});

test('a header that breaks off anywhere, or has another kind of blob, is damaged', () => {
  const entry = { id: '11'.repeat(32), type: 'data', offset: 0, length: 5, uncompressedLength: 9 } as const;
  const header = encodePackHeader([entry]);
  for (let length = 1; length < header.length; length++) {
    expect(() => decodePackHeader(header.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    );
  }
  for (const kind of [4, 5, 0xff]) {
    const altered = Buffer.from(header);
    altered.writeUInt8(kind, 0);
    expect(() => decodePackHeader(altered)).toThrow(expect.objectContaining({ code: 'integrity' }));
  }
});

test('any bytes are a header or damaged, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodePackHeader(Buffer.from(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'integrity' });
      }
    }),
  );
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['too little', Buffer.alloc(sealOverhead + 3)],
  ['a header of no length', Buffer.alloc(100)],
  ['a header longer than the pack', Buffer.concat([Buffer.alloc(96), Buffer.from([97, 0, 0, 0])])],
  ['a header of 4 GiB', Buffer.concat([Buffer.alloc(96), Buffer.alloc(4, 0xff)])],
])('a pack of %s is damaged', (_what, pack) => {
  expect(() => headerLengthOf(pack)).toThrow(expect.objectContaining({ code: 'integrity' }));
});
