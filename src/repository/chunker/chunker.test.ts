import { createCipheriv, hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Chunker, maxChunkBytes, minChunkBytes } from './chunker.ts';
import { remainder, rollingTables, windowSize } from './polynomial.ts';
import { laneBytes, laneCount } from './scanner-module.ts';

/** The polynomial of restic's own chunker tests. */
const polynomial = 0x3da3358b4dc173n;
const mebibyte = 1024 * 1024;
const splitMask = (1n << 20n) - 1n;

/** The same bytes on every machine: the key stream of AES-128 with a key that counts up. */
function pseudoRandom(length: number): Buffer {
  const key = Buffer.from([...Array(16).keys()]);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** The ends of all chunks, when the bytes arrive in pieces of `pieceBytes`. */
function cutsOf(chunker: Chunker, content: Buffer, pieceBytes = chunker.buffer.length): number[] {
  const cuts: number[] = [];
  let base = 0;
  let loaded = 0;
  while (base < content.length) {
    loaded = Math.min(content.length, loaded + pieceBytes, base + chunker.buffer.length);
    content.copy(chunker.buffer, 0, base, loaded);
    const end = chunker.findEnd(0, loaded - base, loaded === content.length);
    if (end === undefined) continue;
    base += end;
    cuts.push(base);
  }
  return cuts;
}

const { mod, out } = rollingTables(polynomial);

/** Where a chunk that begins at `start` must end, by rolling over each byte with BigInt. */
function firstCut(content: Buffer, start: number): number {
  const limit = Math.min(content.length, start + maxChunkBytes);
  const first = start + minChunkBytes;
  if (first > limit) return limit;
  let digest = 0n;
  for (let at = first - windowSize; at < limit; at++) {
    if (at >= first) digest ^= out[content[at - windowSize] ?? 0] ?? 0n;
    const overflow = mod[Number(digest >> 45n)] ?? 0n;
    digest = ((digest << 8n) | BigInt(content[at] ?? 0)) ^ overflow;
    if (at >= first - 1 && (digest & splitMask) === 0n) return at + 1;
  }
  return limit;
}

/** The fingerprint of the 64 bytes before `end` by definition: the remainder of a division. */
function fingerprint(content: Buffer, end: number): bigint {
  return remainder(BigInt(`0x${content.toString('hex', end - windowSize, end)}`), polynomial);
}

const noise = pseudoRandom(12 * mebibyte);

test('chunks end at the first place after the minimum that the fingerprint of the last 64 bytes selects', () => {
  const content = noise.subarray(0, 6 * mebibyte);
  const cuts = cutsOf(new Chunker(polynomial, 8 * mebibyte), content);
  expect(cuts.length).toBeGreaterThan(2);
  for (const [i, cut] of cuts.entries()) {
    expect(firstCut(content, cuts[i - 1] ?? 0)).toBe(cut);
    if (cut < content.length) expect(fingerprint(content, cut) & splitMask).toBe(0n);
  }
});

test('no place is passed over or invented, wherever in a block of the scanner it lies', () => {
  const block = laneBytes * laneCount;
  const [cut = 0] = cutsOf(new Chunker(polynomial, 8 * mebibyte), noise);
  const tail = noise.subarray(cut - windowSize, cut);
  const chunker = new Chunker(polynomial, 2 * mebibyte);
  // A run of sevens never ends a chunk, so only the 64 bytes put there can.
  for (const lane of [0, 1, 2, 3, 4, 7]) {
    for (const shift of [0, 1, 63, 64, laneBytes - 1]) {
      const end = minChunkBytes + lane * laneBytes + shift;
      chunker.buffer.fill(7);
      tail.copy(chunker.buffer, end - windowSize);
      expect(chunker.findEnd(0, minChunkBytes + 2 * block + 100, true)).toBe(end);
    }
  }
  // A place in a later lane does not hide an earlier one.
  chunker.buffer.fill(7);
  for (const at of [3 * laneBytes + 5, laneBytes + 9, 2 * laneBytes + 1])
    tail.copy(chunker.buffer, minChunkBytes + at - windowSize);
  expect(chunker.findEnd(0, 2 * mebibyte, true)).toBe(minChunkBytes + laneBytes + 9);
});

test('a place just before the minimum does not end a chunk', () => {
  const [cut = 0] = cutsOf(new Chunker(polynomial, 8 * mebibyte), noise);
  const chunker = new Chunker(polynomial, 2 * mebibyte);
  chunker.buffer.fill(7);
  noise.copy(chunker.buffer, minChunkBytes - 1 - windowSize, cut - windowSize, cut);
  expect(chunker.findEnd(0, mebibyte, true)).toBe(mebibyte);
});

test('cuts do not depend on how the bytes arrive', () => {
  const chunker = new Chunker(polynomial, 9 * mebibyte);
  const whole = cutsOf(new Chunker(polynomial, 16 * mebibyte), noise);
  for (const pieceBytes of [333_333, minChunkBytes, minChunkBytes + 1, 8 * mebibyte, 9 * mebibyte])
    expect(cutsOf(chunker, noise, pieceBytes)).toEqual(whole);
});

test('data that never makes the fingerprint end a chunk is cut at the maximum', () => {
  const chunker = new Chunker(polynomial, 20 * mebibyte);
  chunker.buffer.fill(7);
  expect(chunker.findEnd(0, 20 * mebibyte, false)).toBe(maxChunkBytes);
  expect(chunker.findEnd(maxChunkBytes, 20 * mebibyte, false)).toBe(2 * maxChunkBytes);
  expect(chunker.findEnd(2 * maxChunkBytes, 20 * mebibyte, false)).toBeUndefined();
  expect(chunker.findEnd(2 * maxChunkBytes, 20 * mebibyte, true)).toBe(20 * mebibyte);
});

test('zeros are cut at the minimum, as their fingerprint is zero', () => {
  const chunker = new Chunker(polynomial, 2 * mebibyte);
  chunker.buffer.fill(0);
  expect(cutsOf(chunker, Buffer.alloc(1_800_000))).toEqual([524_288, 1_048_576, 1_572_864, 1_800_000]);
});

test.each([
  ['nothing', 0, true, 0],
  ['one byte', 1, true, 1],
  ['one byte, more may follow', 1, false, undefined],
  ['one byte less than the minimum', minChunkBytes - 1, true, minChunkBytes - 1],
  ['one byte less than the minimum, more may follow', minChunkBytes - 1, false, undefined],
  ['the minimum', minChunkBytes, true, minChunkBytes],
  ['the maximum', maxChunkBytes, true, maxChunkBytes],
  ['the maximum, more may follow', maxChunkBytes, false, maxChunkBytes],
  ['one byte less than the maximum, more may follow', maxChunkBytes - 1, false, undefined],
])('%s that never makes the fingerprint end a chunk', (_what, end, isLast, expected) => {
  const chunker = new Chunker(polynomial, maxChunkBytes);
  chunker.buffer.fill(7);
  expect(chunker.findEnd(0, end, isLast)).toBe(expected);
});

/** Recorded once; restic cuts the same bytes at the same places (see the interop tests). */
test('known bytes are cut where they always were', () => {
  const cuts = cutsOf(new Chunker(polynomial, 16 * mebibyte), noise);
  expect(cuts).toMatchInlineSnapshot(`
    [
      1285009,
      1840062,
      2429543,
      3439698,
      4723249,
      8498500,
      9120172,
      9845376,
      10448236,
      12489010,
      12582912,
    ]
  `);
  expect(hash('sha256', noise.subarray(0, cuts[0]))).toMatchInlineSnapshot(
    `"7b1863cc4122c17b364c85f52b2abe87a4216cc8c9c828409d0d91a9e7dc1f94"`,
  );
});
