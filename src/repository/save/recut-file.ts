import { awaitedLater } from '../../lib/awaited-later.ts';
import { countIds, type IdList, sliceIds } from '../format/id-list.ts';
import type { CutProofs, ProvenPart } from './piece-proof.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import type { FileHoles } from './file-holes.ts';
import type { SaveTaskResult } from './save-task.ts';
import { PieceStarter } from './start-piece.ts';

/** A previously saved file with its blobs. */
export interface KnownCuts {
  readonly fd: number;
  /** The current end of the file. */
  readonly end: number;
  readonly holes: FileHoles;
  readonly known: CutProofs;
  readonly content: IdList;
}

export interface RecutFile {
  readonly content: readonly IdList[];
  readonly size: number;
  /** The unchanged part of `size`. */
  readonly knownBytes: number;
  readonly proofs: CutProofs;
}

interface Place {
  readonly start: number;
  readonly part: ProvenPart;
  readonly content: IdList;
}

/** True for proofs that belong to these blobs. */
export function areProofsOf(known: CutProofs, content: IdList): boolean {
  return countIds(content) === known.parts.reduce((sum, { chunks }) => sum + chunks, 0);
}

/**
 * Reads a file again whose chunks are cut by content, and stores what has changed; the blobs are those of a
 * full read. The end of a chunk depends on nothing before its start. So an unchanged part that begins with a
 * chunk keeps its chunks; after a changed part, chunks are cut until one ends where an unchanged part begins.
 */
export async function recutFile(scheduler: SaveScheduler, file: KnownCuts): Promise<RecutFile> {
  const same = await findSame(scheduler, file);
  const meetings = [...same.keys()].sort((a, b) => b - a);
  const taken: (Place | Promise<SaveTaskResult>)[] = [];
  const stored: Promise<SaveTaskResult>[] = [];
  const { fd, end, holes } = file;
  const starter = new PieceStarter(scheduler, { fd, end, chunkBytes: undefined, prove: true }, holes);
  try {
    let at = 0;
    for (let isLast = file.end === 0; !isLast;) {
      const known = same.get(at);
      if (known !== undefined) {
        taken.push(known);
        at += known.part.bytes;
        isLast = at >= file.end;
        continue;
      }
      await scheduler.room();
      while (meetings.length > 0 && (meetings.at(-1) ?? 0) <= at) meetings.pop();
      const meeting = meetings.at(-1);
      const { piece, next, isLast: isEnd, isUpToLimit } = await starter.start(at, meeting);
      taken.push(piece);
      stored.push(piece);
      awaitedLater(piece);
      // No chunk ends there any more.
      if (isUpToLimit && next !== meeting) meetings.pop();
      at = next;
      isLast = isEnd;
    }
    return await inOrder(taken);
  } finally {
    await Promise.allSettled(stored);
  }
}

/** The unchanged parts, by their start. */
async function findSame(
  scheduler: SaveScheduler,
  { fd, end, holes, known, content }: KnownCuts,
): Promise<ReadonlyMap<number, Place>> {
  const same = new Map<number, Place>();
  const compared: Promise<void>[] = [];
  try {
    let start = 0;
    let chunk = 0;
    for (const part of known.parts) {
      const place = { start, part, content: sliceIds(content, chunk, chunk + part.chunks) };
      start += part.bytes;
      chunk += part.chunks;
      // The last chunk of a file ends at the file's end.
      if (start > end || (part.isEnd && start !== end)) break;
      await scheduler.room();
      const { bytes, proof } = part;
      if (proof === undefined) {
        if (holes.isHole(place.start, bytes)) same.set(place.start, place);
        continue;
      }
      const compare = scheduler.run({ kind: 'compare', fd, start: place.start, bytes, proof });
      const one = compare.then((result) => void (result.isSame && same.set(place.start, place)));
      awaitedLater(one);
      compared.push(one);
    }
    await Promise.all(compared);
    return same;
  } finally {
    // The descriptor must outlive every worker that reads from it.
    await Promise.allSettled(compared);
  }
}

async function inOrder(taken: readonly (Place | Promise<SaveTaskResult>)[]): Promise<RecutFile> {
  const parts: ProvenPart[] = [];
  const lists: IdList[] = [];
  let knownBytes = 0;
  for (const one of taken) {
    if ('part' in one) {
      parts.push(one.part);
      lists.push(one.content);
      knownBytes += one.part.bytes;
    } else {
      const { content, bytes, proofs, isHole, isEnd } = await one;
      // A window in which no chunk ends proves nothing.
      if (bytes === 0) continue;
      if (proofs !== undefined || isHole === true)
        parts.push({ bytes, chunks: countIds(content), proof: proofs, isEnd });
      lists.push(content);
    }
  }
  const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  return { content: lists, size, knownBytes, proofs: { parts } };
}
