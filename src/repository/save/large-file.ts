import { awaitedLater } from '../../lib/awaited-later.ts';
import { proofBytes } from '../../lib/keyed-proof.ts';
import { type FileStat, statOpen } from '../../lib/posix-at.ts';
import type { ByteString } from '../../model/byte-string.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { countIds, type IdList, sliceIds } from '../format/id-list.ts';
import { encodeLongNode, type NodeText } from '../format/node.ts';
import { chunkBytesOf, headBytes } from '../chunker/paged-file.ts';
import type { ClonedFile } from './cloned-file.ts';
import { type CutProofs, type FileProofs, pieceBytesOf, type ProofBook } from './piece-proof.ts';
import { FileHoles } from './file-holes.ts';
import { hasChanged, openDisposable, readFully } from './file-reader.ts';
import { extrasOfFile, nodeOfStat } from './node-of-stat.ts';
import { flagsNotKept } from './not-kept.ts';
import { readProblem } from './read-problem.ts';
import { areProofsOf, type KnownCuts, recutFile } from './recut-file.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import { type SaveTaskResult, pagedSegmentBytes } from './save-task.ts';
import type { FileChange } from './file-changes.ts';
import type { SaveTally } from './save-tally.ts';
import { PieceStarter } from './start-piece.ts';

export interface LargeFile {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly names: UserNames;
  readonly change: FileChange;
  readonly name: ByteString;
  /** The path on disk. */
  readonly full: ByteString;
  /** Relative to the root of the backup. */
  readonly path: ByteString;
  /** The clone that is read instead; closed at the end. */
  readonly clone?: ClonedFile | undefined;
  /** Proofs of the previous pass, and for the next one. */
  readonly proofs?: ProofBook | undefined;
  /** Ids of the file's blobs in the previous pass. */
  readonly knownContent: () => IdList | undefined;
}

interface SavedContent {
  readonly content: readonly IdList[];
  readonly size: number;
}

/** Saves a file piece by piece: while one worker stores a piece, the next one reads on from where its last chunk ended. */
export async function saveLargeFile(file: LargeFile): Promise<NodeText | undefined> {
  const { tally, path } = file;
  try {
    using open = file.clone ?? openDisposable(file.full);
    const before = open.stat;
    tally.notKept.add(file.clone?.flags ?? flagsNotKept(open.fd), path);
    const { content, size } = await saveContent(file, open.fd, before);
    const extras = {
      ...extrasOfFile(open.fd, before, size),
      ...(file.clone && { xattrs: file.clone.xattrs }),
    };
    const changed = file.clone === undefined && hasChanged(before, statOpen(open.fd));
    if (size !== Number(before.size) || changed) {
      tally.problems.push({ path, reason: 'changed', message: 'changed while it was read' });
    }
    tally.countFile(file.change, 0, path);
    const node = nodeOfStat({ name: file.name, stat: before, names: file.names, ...extras });
    return encodeLongNode({ ...node, size }, content);
  } catch (error) {
    tally.problems.push(readProblem(path, error));
    return undefined;
  }
}

async function saveContent(file: LargeFile, fd: number, stat: FileStat): Promise<SavedContent> {
  const chunkBytes = readChunkBytes(fd);
  const end = Number(stat.size);
  const holes = new FileHoles(fd, { end, stat, chunkBytes });
  const { proofs: book, path } = file;
  // The changed file may be of another kind by now.
  const proofs = book?.get(path);
  book?.delete(path);
  const content = proofs && file.knownContent();
  if (proofs === undefined || content === undefined)
    return await savePieces(file, { fd, end, chunkBytes, holes });
  if ('parts' in proofs) {
    if (chunkBytes === undefined && areProofsOf(proofs, content))
      return await recutKnown(file, { fd, end, holes, known: proofs, content });
  } else if (chunkBytes === proofs.chunkBytes && isContentOf(content, proofs)) {
    return await recheckPieces(file, { fd, end, holes, proofs, content });
  }
  return await savePieces(file, { fd, end, chunkBytes, holes });
}

function isContentOf(content: IdList, { sizeBytes, chunkBytes }: FileProofs): boolean {
  return countIds(content) === Math.ceil(sizeBytes / chunkBytes);
}

interface FileToRead {
  readonly fd: number;
  /** Data appended during the read is left out; reading a busy log might never end otherwise. */
  readonly end: number;
  readonly chunkBytes: number | undefined;
  readonly holes: FileHoles;
}

async function savePieces(
  { scheduler, tally, path, proofs: book }: LargeFile,
  { fd, end, chunkBytes, holes }: FileToRead,
): Promise<SavedContent> {
  const pieces: Promise<SaveTaskResult>[] = [];
  const prove = book !== undefined;
  const starter = new PieceStarter(scheduler, { fd, end, chunkBytes, prove }, holes);
  try {
    for (let start = 0, isLast = false; !isLast;) {
      await scheduler.room();
      const started = await starter.start(start);
      pieces.push(started.piece);
      // Counts only: the piece is awaited below.
      started.piece.then(({ bytes }) => tally.countBytes(bytes, path)).catch(() => undefined);
      ({ next: start, isLast } = started);
    }
    const saved = await Promise.all(pieces);
    const content = saved.map((part) => part.content);
    const size = saved.reduce((sum, { bytes }) => sum + bytes, 0);
    if (prove) book.set(path, proofsOf(saved, chunkBytes));
    return { content, size };
  } finally {
    // The descriptor must outlive every worker that reads from it.
    await Promise.allSettled(pieces);
  }
}

/** The proofs of a file that was read completely. */
function proofsOf(saved: readonly SaveTaskResult[], chunkBytes: number | undefined): FileProofs | CutProofs {
  if (chunkBytes !== undefined) {
    const sizeBytes = saved.reduce((sum, { bytes }) => sum + bytes, 0);
    return { chunkBytes, sizeBytes, proofs: joined(saved.map(({ proofs }) => proofs)) };
  }
  return {
    parts: saved.flatMap(({ bytes, content, proofs: proof, isHole, isEnd }) =>
      (proof === undefined && isHole !== true) || bytes === 0
        ? []
        : [{ bytes, chunks: countIds(content), proof, isEnd }],
    ),
  };
}

async function recutKnown(
  { scheduler, tally, path, proofs: book }: LargeFile,
  known: KnownCuts,
): Promise<SavedContent> {
  const { content, size, knownBytes, proofs } = await recutFile(scheduler, known);
  tally.countBytes(size - knownBytes, path);
  tally.countKnownBytes(knownBytes, path);
  book?.set(path, proofs);
  return { content, size };
}

interface KnownFile {
  readonly fd: number;
  readonly end: number;
  readonly holes: FileHoles;
  readonly proofs: FileProofs;
  readonly content: IdList;
}

/** Reads a file again for which there are proofs, and stores the pieces that changed. */
async function recheckPieces(
  { scheduler, tally, path, proofs: book }: LargeFile,
  { fd, end, holes, proofs: known, content }: KnownFile,
): Promise<SavedContent> {
  const { chunkBytes } = known;
  const pieceBytes = pieceBytesOf(chunkBytes);
  const parts: Promise<SaveTaskResult>[] = [];
  try {
    for (let start = 0; start < end; start += pagedSegmentBytes) {
      await scheduler.room();
      const first = (start / pieceBytes) * proofBytes;
      const proofs = known.proofs.slice(first, first + (pagedSegmentBytes / pieceBytes) * proofBytes);
      const part =
        holes.zerosAt(start) >= pagedSegmentBytes
          ? recheckHole(scheduler, { holes, proofs })
          : scheduler.run({ kind: 'recheck', fd, start, end, chunkBytes, proofs });
      awaitedLater(part);
      parts.push(part);
    }
    const read = upToEnd(await Promise.all(parts));
    const chunksPerPiece = pieceBytes / chunkBytes;
    const proofs: Uint8Array[] = [];
    const lists = read
      .flatMap(({ pieces }) => pieces)
      .map((piece, i) => {
        proofs.push(piece?.proof ?? known.proofs.slice(i * proofBytes, (i + 1) * proofBytes));
        return piece?.content ?? sliceIds(content, i * chunksPerPiece, (i + 1) * chunksPerPiece);
      });
    for (const { bytes, pieces } of read) {
      const changed = pieces.reduce((sum, piece) => sum + (piece?.bytes ?? 0), 0);
      tally.countBytes(changed, path);
      tally.countKnownBytes(bytes - changed, path);
    }
    const size = read.reduce((sum, { bytes }) => sum + bytes, 0);
    book?.set(path, { chunkBytes, sizeBytes: size, proofs: joined(proofs) });
    return { content: lists, size };
  } finally {
    await Promise.allSettled(parts);
  }
}

/** What a worker would return for as many zeros. */
async function recheckHole(
  scheduler: SaveScheduler,
  { holes, proofs }: { readonly holes: FileHoles; readonly proofs: Uint8Array },
): Promise<SaveTaskResult> {
  const { unitBytes, chunkBytes } = holes.cuts;
  const units = pagedSegmentBytes / unitBytes;
  const zeros = await scheduler.zeroChunks(holes.cuts, units);
  const pieces = Array.from({ length: units }, (_, i) => {
    const proof = zeros.proofs.subarray(i * proofBytes, (i + 1) * proofBytes);
    const isSame = Buffer.compare(proof, proofs.subarray(i * proofBytes, (i + 1) * proofBytes)) === 0;
    return isSame
      ? undefined
      : { content: sliceIds(zeros.ids, 0, unitBytes / chunkBytes), bytes: unitBytes, proof };
  });
  return {
    ...{ files: [], ids: [], content: new Uint8Array(), proofs: undefined, isEnd: false, isSame: false },
    ...{ pieces, bytes: pagedSegmentBytes, addedBytes: 0, storedBytes: 0 },
  };
}

/**
 * A short piece marks the end of the file when it was read. Later pieces were written afterwards and do not
 * belong behind it.
 */
function upToEnd(parts: readonly SaveTaskResult[]): readonly SaveTaskResult[] {
  const short = parts.findIndex(({ bytes }) => bytes < pagedSegmentBytes);
  return short < 0 ? parts : parts.slice(0, short + 1);
}

function joined(proofs: readonly (Uint8Array | undefined)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(proofs.map((part) => part ?? new Uint8Array())));
}

/** Looks in the file's header for a database's page size. */
function readChunkBytes(fd: number): number | undefined {
  const head = Buffer.alloc(headBytes);
  const length = readFully(fd, head, 0);
  return chunkBytesOf(head.subarray(0, length), Number(statOpen(fd).size));
}
