import type { ByteString } from '../../model/byte-string.ts';
import type { UserNames } from '../../lib/user-names.ts';
import { encodeNode } from '../format/node.ts';
import { chunkBytesOf, headBytes } from '../chunker/paged-file.ts';
import type { ClonedFile } from './cloned-file.ts';
import { hasChanged, openDisposable, readFully, statOpen } from './file-reader.ts';
import { extrasOfFile, nodeOfStat } from './node-of-stat.ts';
import { readProblem } from './read-problem.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import type { SaveTask, SaveTaskResult, SegmentBoundary } from './save-task.ts';
import type { FileFate, SaveTally } from './save-tally.ts';

export interface LargeFile {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
  readonly names: UserNames;
  readonly fate: FileFate;
  readonly name: ByteString;
  /** Where it is on disk. */
  readonly full: ByteString;
  /** Relative to the root of the backup. */
  readonly path: ByteString;
  /** What is read in its place; closed at the end. */
  readonly clone?: ClonedFile | undefined;
}

/** Saves a file piece by piece: while one worker stores a piece, the next one reads on from where its last chunk ended. */
export async function saveLargeFile(file: LargeFile): Promise<ByteString | undefined> {
  const { tally, path } = file;
  try {
    using open = file.clone ?? openDisposable(file.full);
    const before = file.clone?.stat ?? statOpen(open.fd);
    if (!before.isFile()) {
      tally.problems.push({ path, reason: 'changed', message: 'is no longer a file' });
      return undefined;
    }
    const pieces = await savePieces(file, open.fd, Number(before.size));
    const content = pieces.flatMap(({ ids }) => ids);
    const size = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
    const extras = {
      ...extrasOfFile(open.fd, before, size),
      ...(file.clone && { xattrs: file.clone.xattrs }),
    };
    const changed = file.clone === undefined && hasChanged(before, statOpen(open.fd));
    if (size !== Number(before.size) || changed) {
      tally.problems.push({ path, reason: 'changed', message: 'changed while it was read' });
    }
    tally.countFile(file.fate, 0, path);
    return encodeNode({
      ...nodeOfStat({ name: file.name, stat: before, names: file.names, content, ...extras }),
      size,
    });
  } catch (error) {
    tally.problems.push(readProblem(path, error));
    return undefined;
  }
}

/** Up to `end`: what is added to a file while it is read is left out, or reading a busy log might never end. */
async function savePieces(
  { scheduler, tally, path }: LargeFile,
  fd: number,
  end: number,
): Promise<SaveTaskResult[]> {
  const pieces: Promise<SaveTaskResult>[] = [];
  const chunkBytes = readChunkBytes(fd);
  try {
    for (let start = 0, isLast = false; !isLast;) {
      await scheduler.room();
      const { boundary, piece } = startPiece(scheduler, { kind: 'segment', fd, start, end, chunkBytes });
      pieces.push(piece);
      piece.then(({ bytes }) => tally.countBytes(bytes, path)).catch(() => undefined);
      ({ next: start, isLast } = await boundary);
    }
    return await Promise.all(pieces);
  } finally {
    // The descriptor must outlive every worker that reads from it.
    await Promise.allSettled(pieces);
  }
}

/** Looks at the file's beginning for what databases write. */
function readChunkBytes(fd: number): number | undefined {
  const head = Buffer.alloc(headBytes);
  const length = readFully(fd, head, 0);
  return chunkBytesOf(head.subarray(0, length), Number(statOpen(fd).size));
}

function startPiece(
  scheduler: SaveScheduler,
  segment: Extract<SaveTask, { kind: 'segment' }>,
): { boundary: Promise<SegmentBoundary>; piece: Promise<SaveTaskResult> } {
  const { promise: boundary, resolve, reject } = Promise.withResolvers<SegmentBoundary>();
  const piece = scheduler.run(segment, { onInterim: resolve });
  piece.catch(reject);
  boundary.catch(() => undefined);
  return { boundary, piece };
}
