import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
import { type FileProofs, pieceBytes, type ProofBook } from './piece-proof.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { type SaveTask, type SaveTaskResult, pagedSegmentBytes } from './save-task.ts';
import { SaveTally } from './save-tally.ts';

const sizeBytes = 3 * pagedSegmentBytes;
const knownContent = Array.from({ length: sizeBytes / pagedChunkBytes }, (_, i) =>
  i.toString(16).padStart(64, '0'),
);

/** Reads parts of a file that is cut off and written anew meanwhile: the second part ends early, the third does not. */
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

test('a file of pages that is cut off and grows again while it is read has nothing in a wrong place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'large-file-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const content = Buffer.alloc(sizeBytes);
  content.write('SQLite format 3\0', 'latin1');
  content.writeUInt16BE(4096, 16);
  writeFileSync(join(folder, 'db'), content);
  const known = new Uint8Array((sizeBytes / pieceBytes) * proofBytes);
  const proofs: ProofBook = new Map([['db', { chunkBytes: pagedChunkBytes, sizeBytes, proofs: known }]]);
  const tally = new SaveTally(undefined, undefined);
  const text = await saveLargeFile({
    scheduler,
    tally,
    names: readUserNames(),
    fate: 'changed',
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
