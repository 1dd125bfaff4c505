import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PacketReader, PacketSplitter, PacketWriter } from './packets.ts';

test('packets come out of a stream as they went in, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }),
      (bodies, cuts) => {
        const stream = Buffer.concat(
          bodies.flatMap((body) => {
            const length = Buffer.alloc(4);
            length.writeUInt32BE(body.length);
            return [length, body];
          }),
        );
        const splitter = new PacketSplitter();
        const found: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          found.push(...splitter.add(stream.subarray(at, at + size)));
          at += size;
        }
        expect(found.map((packet) => [...packet])).toEqual(bodies.map((body) => [...body]));
      },
    ),
  );
});

test('fields are read as they were written', () => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(0xffffffff),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      fc.string({ unit: 'grapheme' }),
      (byte, word, long, text) => {
        const [length, ...parts] = new PacketWriter()
          .byte(byte)
          .uint32(word)
          .uint64(long)
          .text(text)
          .finish();
        const body = Buffer.concat(parts);
        expect(Buffer.from(length ?? []).readUInt32BE()).toBe(body.length);
        const reader = new PacketReader(body);
        expect([reader.byte(), reader.uint32(), reader.uint64(), reader.text()]).toEqual([
          byte,
          word,
          long,
          text,
        ]);
        expect(reader.isAtEnd).toBe(true);
      },
    ),
  );
});

test('attributes are read, whichever of them there are', () => {
  const all = new PacketWriter()
    .uint32(0x8000000f)
    .uint64(1234)
    .uint32(1)
    .uint32(2)
    .uint32(0o100600)
    .uint32(5)
    .uint32(6);
  const extended = all.uint32(1).text('name').text('value').byte(7);
  const reader = new PacketReader(Buffer.concat(extended.finish().slice(1)));
  expect(reader.attributes()).toEqual({ sizeBytes: 1234, mode: 0o100600, modifiedMs: 6000 });
  expect(reader.byte()).toBe(7);
  const none = new PacketReader(Buffer.concat(new PacketWriter().uint32(0).finish().slice(1)));
  expect(none.attributes()).toEqual({ sizeBytes: undefined, mode: undefined, modifiedMs: undefined });
});

test('anything but SFTP is refused before memory is allocated for it', () => {
  expect(() => new PacketSplitter().add(Buffer.from('Welcome to this machine'))).toThrow(
    'does not speak SFTP',
  );
  expect(() => new PacketSplitter().add(Buffer.from([0, 0, 0, 0, 1]))).toThrow('does not speak SFTP');
});

test('an answer that is shorter than it says is an error, and no guess', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      for (const read of ['names', 'attributes', 'text', 'uint64'] as const) {
        try {
          new PacketReader(Buffer.from(bytes))[read]();
        } catch (error) {
          expect(String(error)).toContain('too short');
        }
      }
    }),
  );
  expect(() => new PacketReader(Buffer.from([0, 0, 0, 9, 65])).text()).toThrow('too short');
});
