import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { Room } from '../lib/room.ts';
import { openTestCodec, type TestCodec } from '../../../test/fixtures/open-codec.ts';
import { type BlobPlace } from '../pack/pack-header.ts';
import { PackWriter, storePack } from '../pack/pack-writer.ts';
import { type BlobReadTools, readBlobs } from './read-blobs.ts';

let opened: TestCodec;
let tools: BlobReadTools;
let packId: string;
let blobs: readonly BlobPlace[];
const contents = new Map<string, Buffer>();

beforeEach(async () => {
  opened = await openTestCodec();
  const { codec } = opened;
  tools = { ...codec, sealedRooms: [new Room(), new Room()], contentRoom: new Room() };
  const writer = new PackWriter('data', codec);
  // More than one request's worth, several times.
  for (let i = 0; i < 30; i++) {
    const content = randomBytes(500_000 + i);
    const id = createHash('sha256').update(content).digest('hex');
    contents.set(id, content);
    writer.add(id, content);
  }
  const pack = writer.finish();
  ({ id: packId, blobs } = pack);
  await storePack(codec.store, pack);
  return async () => {
    contents.clear();
    await opened[Symbol.asyncDispose]();
  };
});

async function readAll(wanted: readonly BlobPlace[]): Promise<number> {
  let count = 0;
  for await (const { blob, content } of readBlobs(tools, packId, wanted)) {
    expect(content.equals(contents.get(blob.id) ?? Buffer.alloc(0)), blob.id).toBe(true);
    count++;
    // Simulates a slow disk: the next part arrives meanwhile.
    if (count % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return count;
}

test('every blob is correct, although the next part is read while one is used', async () => {
  expect(await readAll(blobs)).toBe(30);
  expect(await readAll(blobs.filter((_, i) => i % 7 === 0))).toBe(5);
  expect(await readAll([])).toBe(0);
});

test('stopping in the middle leaves no read that writes into the memory of the next reader', async () => {
  for (let stop = 1; stop <= 20; stop += 3) {
    let seen = 0;
    for await (const _ of readBlobs(tools, packId, blobs)) if (++seen === stop) break;
    expect(await readAll(blobs.toReversed())).toBe(30);
  }
});

test('a part that cannot be read is explained by its first blob, after the parts before it', async () => {
  const beyond = {
    id: 'f'.repeat(64),
    type: 'data',
    offset: 90_000_000,
    length: 100,
    uncompressedLength: 0,
  } as const;
  const explain = (blob: BlobPlace, error: Error): never => {
    throw Object.assign(error, { message: `${blob.id.slice(0, 4)}: ${error.message}` });
  };
  let count = 0;
  const read = async (): Promise<void> => {
    for await (const _ of readBlobs(tools, packId, [...blobs, beyond], { explain })) count++;
  };
  await expect(read()).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringMatching(/^ffff: /),
  });
  expect(count).toBe(30);
});
