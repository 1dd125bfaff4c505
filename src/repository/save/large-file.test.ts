import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { proofBytes } from '../../lib/keyed-proof.ts';
import { readUserNames } from '../../lib/user-names.ts';
import { pagedChunkBytes } from '../chunker/paged-file.ts';
import { idListOf } from '../format/id-list.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { decodeTree } from '../format/node.ts';
import { saveLargeFile } from './large-file.ts';
import { BlobTables } from '../blob-index/blob-tables.ts';
import { openTestCodec } from '../../../test/fixtures/open-codec.ts';
import { statOpen } from '../../lib/posix-at.ts';
import { type FileProofs, pieceBytesOf, type ProofBook } from './piece-proof.ts';
import { SaveScheduler } from './save-scheduler.ts';
import { type SaveTask, type SaveTaskResult, pagedSegmentBytes } from './save-task.ts';
import { SaveTally } from './save-tally.ts';

const pieceBytes = pieceBytesOf(pagedChunkBytes);
const sizeBytes = 3 * pagedSegmentBytes;
const knownContent = Array.from({ length: sizeBytes / pagedChunkBytes }, (_, i) =>
  i.toString(16).padStart(64, '0'),
);

/**
 * Reads parts of a file that is truncated and rewritten meanwhile: the second part ends early, the third does
 * not.
 */
const scheduler = {
  room: async () => undefined,
  async run(task: SaveTask): Promise<SaveTaskResult> {
    const bytes =
      task.kind === 'recheck' && task.start === pagedSegmentBytes ? pagedChunkBytes : pagedSegmentBytes;
    const pieces = Array.from({ length: Math.ceil(bytes / pieceBytes) }, (_, i) =>
      (i + 1) * pieceBytes <= bytes
        ? undefined
        : { content: idListOf(['f'.repeat(64)]), bytes, proof: new Uint8Array(proofBytes) },
    );
    return {
      files: [],
      ids: [],
      content: new Uint8Array(),
      bytes,
      proofs: undefined,
      isEnd: false,
      isSame: false,
      pieces,
      addedBytes: 0,
      storedBytes: 0,
    };
  },
} as unknown as SaveScheduler;

function databaseOf(length: number): Buffer {
  const content = Buffer.alloc(length);
  content.write('SQLite format 3\0', 'latin1');
  content.writeUInt16BE(4096, 16);
  return content;
}

test('a file of pages that is cut off and grows again while it is read has nothing in a wrong place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'large-file-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'db'), databaseOf(sizeBytes));
  const known = new Uint8Array((sizeBytes / pieceBytes) * proofBytes);
  const proofs: ProofBook = new Map([['db', { chunkBytes: pagedChunkBytes, sizeBytes, proofs: known }]]);
  const tally = new SaveTally(undefined, undefined);
  const text = await saveLargeFile({
    scheduler,
    tally,
    names: readUserNames(),
    change: 'changed',
    name: 'db',
    full: join(folder, 'db'),
    path: 'db',
    proofs,
    knownContent: () => idListOf(knownContent),
  });
  const [node] = text === undefined ? [] : decodeTree(encodeTree([text]));
  const wholeChunks = pagedSegmentBytes / pagedChunkBytes;
  expect(node?.content).toEqual([...knownContent.slice(0, wholeChunks), 'f'.repeat(64)]);
  expect(node?.size).toBe(pagedSegmentBytes + pagedChunkBytes);
  const after = proofs.get('db') as FileProofs | undefined;
  expect(after?.sizeBytes).toBe(node?.size);
  expect(after?.proofs).toHaveLength((pagedSegmentBytes / pieceBytes + 1) * proofBytes);
  expect(tally.problems).toMatchObject([{ path: 'db', reason: 'changed' }]);
});

test.each([
  ['half a terabyte', 512 * 2 ** 30, 512 * 1024],
  ['eight terabytes', 8 * 2 ** 40, 8 * 1024 * 1024],
])('of a database of %s, no more is read as new than what has changed', async (_, fileBytes, chunkBytes) => {
  await using parts = await openTestCodec();
  const { location, masterKey, config } = parts;
  const folder = mkdtempSync(join(tmpdir(), 'large-file-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const full = join(folder, 'db');
  const proofs: ProofBook = new Map();
  await using real = new SaveScheduler({
    workerData: {
      store: { kind: 'local', directory: location },
      masterKey,
      polynomial: config.polynomial,
      dryRun: false,
    },
    tables: BlobTables.withoutPlaces(1000),
    onPack: () => undefined,
    signal: undefined,
  });
  /** The ids of the first chunks, and how much was read as new. */
  const save = async (known: readonly string[]): Promise<{ ids: readonly string[]; newBytes: number }> => {
    const tally = new SaveTally(undefined, undefined);
    const fd = openSync(full, 'r');
    // Allocated in full, with only its beginning to read.
    const stat = statOpen(fd);
    stat.size = BigInt(sizeBytes);
    const text = await saveLargeFile({
      scheduler: real,
      tally,
      names: readUserNames(),
      change: 'changed',
      name: 'db',
      full,
      path: 'db',
      clone: { fd, stat, xattrs: [], flags: 0, [Symbol.dispose]: () => closeSync(fd) },
      proofs,
      knownContent: () => idListOf(known),
    });
    expect(tally.problems).toEqual([]);
    const [node] = text === undefined ? [] : decodeTree(encodeTree([text]));
    return { ids: node?.content ?? [], newBytes: tally.read.bytes };
  };
  writeFileSync(full, databaseOf(sizeBytes));
  truncateSync(full, fileBytes);
  const first = await save([]);
  expect(first).toMatchObject({ ids: { length: sizeBytes / chunkBytes }, newBytes: sizeBytes });
  const file = openSync(full, 'r+');
  writeSync(file, 'changed', pagedSegmentBytes + 1000);
  closeSync(file);
  const second = await save(first.ids);
  const changed = pagedSegmentBytes / chunkBytes;
  expect(second.newBytes).toBe(chunkBytes);
  expect(second.ids).not.toEqual(first.ids);
  expect(second.ids.with(changed, first.ids[changed] ?? '')).toEqual(first.ids);
  expect(await save(second.ids)).toEqual({ ids: second.ids, newBytes: 0 });
});
