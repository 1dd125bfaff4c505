import { workerData } from 'node:worker_threads';
import { proofBytes, proofOf } from '../../lib/keyed-proof.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { closeQuickly, type FileStat, statOpen } from '../../lib/posix-at.ts';
import { limitMallocArenas } from '../../lib/posix.ts';
import { readUserNames } from '../../lib/user-names.ts';
import { serveTasks } from '../workers/worker-side.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import { BlobTables } from '../blob-index/blob-tables.ts';
import { encodeIndexEntry } from '../blob-index/index-file.ts';
import { Chunker, type Cutter, fixedCutter } from '../chunker/chunker.ts';
import { chunkBytesOf, headBytes } from '../chunker/paged-file.ts';
import { openCompressor } from '../crypto/compression.ts';
import { Sealer } from '../crypto/seal.ts';
import { idListOf } from '../format/id-list.ts';
import { encodeNode } from '../format/node.ts';
import { openStore } from '../stores/open-store.ts';
import { BlobSaver } from './blob-saver.ts';
import { hasChanged, readFully } from './file-reader.ts';
import { extrasOfFile, nodeOfStat } from './node-of-stat.ts';
import { flagsNotKept } from './not-kept.ts';
import { pieceBytesOf } from './piece-proof.ts';
import { readProblem } from './read-problem.ts';
import {
  type ChangedPiece,
  type FileOutcome,
  type NewTableNotice,
  type PackStoredEvent,
  type SaveTask,
  type SaveTaskResult,
  type SaveWorkerData,
  type SegmentBoundary,
  pagedSegmentBytes,
  segmentBytes,
  wholeFileBytes,
} from './save-task.ts';

/** Reads, chunks, hashes, compresses, encrypts and packs, away from the thread that walks. */

limitMallocArenas(2);

const data = workerData as SaveWorkerData;
const names = readUserNames();
const tables = new BlobTables(data.tables);
const chunker = new Chunker(data.polynomial, segmentBytes);
const saver = new BlobSaver({
  store: openStore(data.store),
  sealer: new Sealer(data.masterKey),
  compressor: openCompressor(),
  tables,
  dryRun: data.dryRun,
  // A local disk gains nothing from a second upload; over a network, two hide the round trip.
  packsUnderWay: data.store.kind === 'local' ? 1 : 2,
  onPack: (pack) => sendEvent({ pack: encodeIndexEntry(pack) }),
});

process.once('exit', () => saver.abandon());

const sendEvent = serveTasks<SaveTask, SaveTaskResult, SegmentBoundary, PackStoredEvent, NewTableNotice>({
  onTask: runTask,
  onNotice: ({ table }) => tables.append(table),
});

const noIds = new Uint8Array();

async function runTask(
  task: SaveTask,
  sendBoundary: (boundary: SegmentBoundary) => void,
): Promise<SaveTaskResult> {
  const addedBefore = saver.addedBytes;
  const storedBefore = saver.storedBytes;
  const part = await runKind(task, sendBoundary);
  return {
    files: [],
    ids: [],
    content: noIds,
    bytes: 0,
    proofs: undefined,
    isEnd: false,
    isSame: false,
    pieces: [],
    ...part,
    addedBytes: saver.addedBytes - addedBefore,
    storedBytes: saver.storedBytes - storedBefore,
  };
}

async function runKind(
  task: SaveTask,
  sendBoundary: (boundary: SegmentBoundary) => void,
): Promise<Partial<SaveTaskResult>> {
  switch (task.kind) {
    case 'files':
      return { files: await saveFiles(task.directory, task.names) };
    case 'segment':
      return await saveSegment(task, sendBoundary);
    case 'recheck':
      return await recheck(task);
    case 'compare':
      return compare(task);
    case 'blobs':
      return { ids: await saveBlobs(task) };
    case 'drain':
      await saver.drain();
      return {};
    case 'flush':
      await saver.flush();
      return {};
  }
}

async function saveFiles(directory: number, fileNames: readonly ByteString[]): Promise<FileOutcome[]> {
  const outcomes: FileOutcome[] = [];
  for (const name of fileNames) {
    try {
      outcomes.push(await saveFile(directory, name));
    } catch (error) {
      outcomes.push({ node: undefined, size: 0, problem: readProblem(name, error) });
    }
  }
  return outcomes;
}

async function saveFile(directory: number, name: ByteString): Promise<FileOutcome> {
  const { fd, stat: before } = openRegular(directory, name);
  try {
    return await saveOpen(fd, { name, before });
  } finally {
    closeQuickly(fd);
  }
}

async function saveOpen(
  fd: number,
  { name, before }: { readonly name: ByteString; readonly before: FileStat },
): Promise<FileOutcome> {
  if (before.size > wholeFileBytes) return { node: undefined, size: 0, problem: undefined, tooLarge: true };
  const length = readFully(fd, chunker.buffer.subarray(0, Number(before.size)), 0);
  const content = await saveChunks(length, cutterOf(length));
  const extras = extrasOfFile(fd, before, length);
  const after = statOpen(fd);
  const node = encodeNode({ ...nodeOfStat({ name, stat: before, names, content, ...extras }), size: length });
  const problem =
    length !== Number(before.size) || hasChanged(before, after) ? changedProblem(name, after) : undefined;
  return { node, size: length, problem, flags: flagsNotKept(fd) };
}

function changedProblem(path: ByteString, after: FileStat): SaveProblem {
  const message = after.nlink === 0n ? 'was removed while it was read' : 'changed while it was read';
  return { path, reason: after.nlink === 0n ? 'vanished' : 'changed', message };
}

/** Cuts the first `length` bytes of the chunker's buffer into chunks and stores them. */
async function saveChunks(length: number, cutter: Cutter): Promise<string[]> {
  const ids: string[] = [];
  for (let start = 0; start < length;) {
    const end = cutter.findEnd(start, length, true) ?? length;
    ids.push(await saveBlob(chunker.buffer.subarray(start, end), 'data'));
    start = end;
  }
  return ids;
}

/** How the file in the chunker's buffer is cut. */
function cutterOf(length: number): Cutter {
  const head = chunker.buffer.subarray(0, Math.min(length, headBytes));
  const chunkBytes = chunkBytesOf(head, length);
  return chunkBytes === undefined ? chunker : fixedCutter(chunkBytes);
}

async function saveBlob(content: Buffer, type: 'data' | 'tree'): Promise<string> {
  const id = saver.add(content, type);
  if (saver.isFull) await saver.storeFull();
  return id;
}

async function saveSegment(
  { fd, start, end: fileEnd, limit = fileEnd, chunkBytes, prove }: Extract<SaveTask, { kind: 'segment' }>,
  sendBoundary: (boundary: SegmentBoundary) => void,
): Promise<Partial<SaveTaskResult>> {
  const most = chunkBytes === undefined ? segmentBytes : pagedSegmentBytes;
  const wanted = Math.min(most, fileEnd - start, limit - start);
  const length = readFully(fd, chunker.buffer.subarray(0, wanted), start);
  const isLast = length < wanted || start + length >= fileEnd;
  const cutter = chunkBytes === undefined ? chunker : fixedCutter(chunkBytes);
  const ends: number[] = [];
  for (let at = 0; at < length;) {
    const end = cutter.findEnd(at, length, isLast);
    if (end === undefined) break;
    ends.push(end);
    at = end;
  }
  const covered = ends.at(-1) ?? 0;
  sendBoundary({ next: start + covered, isLast });
  const ids: string[] = [];
  let from = 0;
  for (const end of ends) {
    ids.push(await saveBlob(chunker.buffer.subarray(from, end), 'data'));
    from = end;
  }
  const proofs = prove ? proofsOf(covered, chunkBytes) : undefined;
  return { content: idListOf(ids), bytes: covered, isEnd: isLast, proofs };
}

function compare({
  fd,
  start,
  bytes,
  proof,
}: Extract<SaveTask, { kind: 'compare' }>): Partial<SaveTaskResult> {
  const length = readFully(fd, chunker.buffer.subarray(0, bytes), start);
  return { isSame: length === bytes && Buffer.compare(wholeProof(length), proof) === 0 };
}

/** The proof of the first `length` bytes of the chunker's buffer. */
function wholeProof(length: number): Uint8Array {
  return new Uint8Array(proofOf(data.proofKey, chunker.buffer.subarray(0, length)));
}

/** The proofs of these bytes, one for each piece where chunks have a fixed size. */
function proofsOf(length: number, chunkBytes: number | undefined): Uint8Array {
  if (chunkBytes === undefined) return wholeProof(length);
  const pieceBytes = pieceBytesOf(chunkBytes);
  const proofs = new Uint8Array(Math.ceil(length / pieceBytes) * proofBytes);
  for (let at = 0, i = 0; at < length; at += pieceBytes, i++)
    proofs.set(
      proofOf(data.proofKey, chunker.buffer.subarray(at, Math.min(length, at + pieceBytes))),
      i * proofBytes,
    );
  return proofs;
}

async function recheck({
  fd,
  start,
  end,
  chunkBytes,
  proofs,
}: Extract<SaveTask, { kind: 'recheck' }>): Promise<Partial<SaveTaskResult>> {
  const wanted = Math.min(pagedSegmentBytes, end - start);
  const length = readFully(fd, chunker.buffer.subarray(0, wanted), start);
  const cutter = fixedCutter(chunkBytes);
  const pieceBytes = pieceBytesOf(chunkBytes);
  const pieces: (ChangedPiece | undefined)[] = [];
  for (let at = 0, i = 0; at < length; at += pieceBytes, i++) {
    const to = Math.min(length, at + pieceBytes);
    const proof = proofOf(data.proofKey, chunker.buffer.subarray(at, to));
    if (proof.equals(proofs.subarray(i * proofBytes, (i + 1) * proofBytes))) {
      pieces.push(undefined);
      continue;
    }
    const ids: string[] = [];
    for (let from = at; from < to;) {
      const cut = cutter.findEnd(from, to, true) ?? to;
      ids.push(await saveBlob(chunker.buffer.subarray(from, cut), 'data'));
      from = cut;
    }
    pieces.push({ content: idListOf(ids), bytes: to - at, proof: new Uint8Array(proof) });
  }
  return { pieces, bytes: length };
}

async function saveBlobs(task: Extract<SaveTask, { kind: 'blobs' }>): Promise<string[]> {
  const content = Buffer.from(task.content.buffer, task.content.byteOffset, task.content.byteLength);
  const ids: string[] = [];
  let from = 0;
  for (const length of task.lengths) {
    ids.push(await saveBlob(content.subarray(from, from + length), task.type));
    from += length;
  }
  return ids;
}
