import { hash, randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import { openCompressor } from '../crypto/compression.ts';
import { newMasterKey } from '../crypto/key-file.ts';
import { Sealer } from '../crypto/seal.ts';
import { openBlob } from '../read/stored-blobs.ts';
import { decodePackHeader, headerLengthOf, packSize } from './pack-header.ts';
import { type FinishedPack, packTargetBytes, PackWriter } from './pack-writer.ts';

const sealer = new Sealer(newMasterKey());
const compressor = openCompressor();

/** What writers have sent to the store below, until a test begins. */
let written: Buffer[] = [];
let largestWrite = 0;
let abandoned = 0;
beforeEach(() => {
  written = [];
  largestWrite = 0;
  abandoned = 0;
});

const takesAsItIsMade = {
  begin: () => ({
    write(bytes: Uint8Array) {
      written.push(Buffer.from(bytes));
      largestWrite = Math.max(largestWrite, bytes.length);
    },
    finish: () => Promise.resolve(),
    abandon: () => void abandoned++,
  }),
};

function fill(writer: PackWriter, contents: readonly Buffer[]): string[] {
  return contents.map((content) => {
    const id = hash('sha256', content);
    writer.add(id, content);
    return id;
  });
}

/** Reads a pack like any other program: from its end, by its own header. */
function read(pack: FinishedPack): { readonly types: string[]; readonly contents: Buffer[] } {
  const bytes = Buffer.from(Buffer.isBuffer(pack.content) ? pack.content : Buffer.concat(written));
  expect(hash('sha256', bytes)).toBe(pack.id);
  const headerLength = headerLengthOf(bytes);
  const end = bytes.length - 4;
  const blobs = decodePackHeader(sealer.openInPlace(bytes.subarray(end - headerLength, end)));
  expect(blobs).toEqual(pack.blobs);
  expect(packSize(blobs)).toBe(bytes.length);
  const contents = blobs.map(({ id, offset, length, uncompressedLength }) => {
    const sealed = bytes.subarray(offset, offset + length);
    return Buffer.from(
      openBlob({ sealer, compressor }, { id, sealed, place: { packId: pack.id, uncompressedLength } }),
    );
  });
  return { types: blobs.map(({ type }) => type), contents };
}

function sameContents(found: readonly Buffer[], expected: readonly Buffer[]): void {
  expect(found.map((content) => hash('sha256', content))).toEqual(
    expected.map((content) => hash('sha256', content)),
  );
}

test('a pack holds its blobs: empty, of one byte, compressible and not', () => {
  const writer = new PackWriter('data', { sealer, compressor });
  expect(writer.isEmpty).toBe(true);
  const contents = [
    Buffer.alloc(0),
    Buffer.from('x'),
    randomBytes(10_000),
    Buffer.alloc(1_000_000),
    Buffer.from('words '.repeat(1000)),
    randomBytes(8 * 1024 * 1024),
  ];
  fill(writer, contents);
  const pack = writer.finish();
  const { types, contents: found } = read(pack);
  sameContents(found, contents);
  expect(new Set(types)).toEqual(new Set(['data']));
  expect(writer.isEmpty).toBe(true);
  expect(pack.blobs.map(({ uncompressedLength }) => uncompressedLength > 0)).toEqual([
    false,
    false,
    false,
    true,
    true,
    false,
  ]);
});

test('incompressible data is stored unchanged, with no overhead but its seal', () => {
  const writer = new PackWriter('data', { sealer, compressor });
  const content = randomBytes(5000);
  expect(writer.add(hash('sha256', content), content)).toBe(5032);
});

test('a blob larger than the buffer makes it grow, and keeps the earlier content', () => {
  const writer = new PackWriter('tree', { sealer, compressor });
  const contents = [randomBytes(3_000_000), randomBytes(60_000_000), Buffer.from('after')];
  fill(writer, contents);
  expect(writer.isFull).toBe(true);
  const { types, contents: found } = read(writer.finish());
  sameContents(found, contents);
  expect(types).toEqual(['tree', 'tree', 'tree']);
});

test('a pack is full of twenty thousand tiny blobs, and its header still fits', () => {
  const writer = new PackWriter('data', { sealer, compressor });
  const contents = Array.from({ length: 20_000 }, (_, i) => Buffer.from(`blob ${i} `.repeat(10)));
  fill(writer, contents.slice(0, -1));
  expect(writer.isFull).toBe(false);
  fill(writer, contents.slice(-1));
  expect(writer.isFull).toBe(true);
  sameContents(read(writer.finish()).contents, contents);
});

test('a pack is full at its target size, whatever was added last', () => {
  const writer = new PackWriter('data', { sealer, compressor });
  const large = randomBytes(8 * 1024 * 1024);
  fill(writer, [large, randomBytes(packTargetBytes - large.length - 64 - 1)]);
  expect(writer.isFull).toBe(false);
  fill(writer, [large]);
  expect(writer.isFull).toBe(true);
  expect(read(writer.finish()).contents).toHaveLength(3);
});

test('packs follow each other, in new buffers or in a returned one', () => {
  const writer = new PackWriter('data', { sealer, compressor });
  const contents = Array.from({ length: 5 }, (_, i) => Buffer.from(`pack ${i}`));
  const ids = new Set<string>();
  for (const content of contents) {
    fill(writer, [content]);
    const pack = writer.finish();
    sameContents(read(pack).contents, [content]);
    ids.add(pack.id);
    writer.takeBack(pack);
  }
  expect(ids.size).toBe(5);
});

test('a pack without blobs is a sound pack', () => {
  expect(read(new PackWriter('data', { sealer, compressor }).finish()).contents).toEqual([]);
});

test('where the store takes a pack as it is made, it is sent in small parts, and is the same pack', () => {
  const writer = new PackWriter('data', { sealer, compressor, store: takesAsItIsMade });
  for (let round = 0; round < 2; round++) {
    written = [];
    const contents = Array.from({ length: 40 }, (_, i) => randomBytes(400_000 + i));
    fill(writer, contents);
    expect(writer.isFull).toBe(false);
    expect(Buffer.concat(written).length).toBeGreaterThan(14_000_000);
    contents.push(randomBytes(1_000_000));
    fill(writer, contents.slice(-1));
    expect(writer.isFull).toBe(true);
    const pack = writer.finish();
    expect(Buffer.isBuffer(pack.content)).toBe(false);
    sameContents(read(pack).contents, contents);
    expect(writer.isEmpty).toBe(true);
  }
  expect(largestWrite).toBeLessThan(2_000_000);
});

test('a small pack is sent as well, and one with a blob of any size', () => {
  const writer = new PackWriter('tree', { sealer, compressor, store: takesAsItIsMade });
  for (const contents of [[Buffer.from('x')], [randomBytes(60_000_000), Buffer.from('after')], []]) {
    written = [];
    fill(writer, contents);
    const pack = writer.finish();
    expect(Buffer.isBuffer(pack.content)).toBe(false);
    sameContents(read(pack).contents, contents);
  }
});

test('a partly written pack never becomes a pack', () => {
  const full = new AppError('full', 'The disk is full');
  let writes = 0;
  const store = {
    begin: () => ({
      ...takesAsItIsMade.begin(),
      write() {
        if (++writes === 2) throw full;
      },
    }),
  };
  const writer = new PackWriter('data', { sealer, compressor, store });
  fill(writer, [randomBytes(700_000)]);
  expect(() => fill(writer, [randomBytes(700_000)])).toThrow(full);
  expect(abandoned).toBe(1);
  expect(() => fill(writer, [Buffer.from('next')])).toThrow(full);
  expect(() => writer.finish()).toThrow(full);
});

test('an abandoned pack leaves nothing, and the next one is complete', () => {
  const writer = new PackWriter('data', { sealer, compressor, store: takesAsItIsMade });
  fill(writer, [randomBytes(700_000)]);
  writer.abandon();
  expect(abandoned).toBe(1);
  expect(writer.isEmpty).toBe(true);
  written = [];
  fill(writer, [Buffer.from('next')]);
  sameContents(read(writer.finish()).contents, [Buffer.from('next')]);
});
