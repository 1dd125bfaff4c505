import { awaitedLater } from '../lib/awaited-later.ts';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { ByteSource } from '../lib/tar/byte-source.ts';
import { AppError } from '../model/errors.ts';

const frameMagic = 0xfd2f_b528;
const skippableMagic = 0x184d_2a50;

/**
 * Decompresses zstd of several frames (pzstd writes such files). Node's decompressor handles one frame, and
 * drops what follows it, so the frames are separated here by the lengths before their blocks.
 */
export async function* decompressZstd(
  bytes: AsyncIterable<Uint8Array>,
  chunkSize: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using source = new ByteSource(bytes, undefined);
  for (let magic = await source.take(4); magic !== undefined; magic = await source.take(4)) {
    const number = magic.readUInt32LE(0);
    if ((number & 0xffff_fff0) >>> 0 === skippableMagic) await skipFrame(source);
    else if (number === frameMagic)
      yield* through(readFrame(source, magic), createZstdDecompress({ chunkSize }));
    else throw damaged();
  }
}

async function skipFrame(source: ByteSource): Promise<void> {
  await source.skip((await takeAll(source, 4)).readUInt32LE(0));
}

/** One frame's bytes: header, blocks, and the checksum, if any. */
async function* readFrame(source: ByteSource, magic: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  yield magic;
  const first = await takeAll(source, 1);
  yield first;
  const descriptor = first[0] ?? 0;
  yield await takeAll(source, headerBytes(descriptor));
  for (let isLast = false; !isLast;) {
    const head = await takeAll(source, 3);
    yield head;
    const block = head.readUIntLE(0, 3);
    isLast = (block & 1) === 1;
    // A block that repeats one byte holds only that one, whatever its size says.
    for (let missing = ((block >> 1) & 3) === 1 ? 1 : block >> 3; missing > 0;) {
      const piece = await source.takeSome(missing);
      if (piece === undefined) throw damaged();
      missing -= piece.length;
      yield piece;
    }
  }
  if ((descriptor & 4) !== 0) yield await takeAll(source, 4);
}

/** Length of the fields after the descriptor: window size, dictionary id, content size. */
function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionary + contentSize;
}

async function takeAll(source: ByteSource, length: number): Promise<Buffer> {
  const bytes = await source.take(length);
  if (bytes === undefined) throw damaged();
  return bytes;
}

function damaged(): AppError {
  return new AppError(
    'integrity',
    'Cannot read the archive: its compressed data is damaged or ends too early',
  );
}

/** Pipes bytes through a stream. Closes both ends when the caller leaves, also after an error. */
export async function* through(
  bytes: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  const piping = pipeline(bytes, transform);
  // Awaited below; until then its failure arrives through the transform.
  awaitedLater(piping);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
    await piping;
  } finally {
    transform.destroy();
    // Its failure has come through the transform.
    await piping.catch(() => undefined);
  }
}
