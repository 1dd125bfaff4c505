import { open } from 'node:fs/promises';
import { type ChainPlace, isGenuine, readLine } from './chain.ts';
import type { Segment } from './segments.ts';

export interface LogTail {
  /** The last segment, which is appended to; undefined when there is none. */
  readonly segment: Segment | undefined;
  /** The last entry that the key proves; undefined when there is none. */
  readonly last: ChainPlace | undefined;
  /** The end of the last whole line of the last segment. */
  readonly endBytes: number;
  /** Bytes after it: an unfinished line. */
  readonly tornBytes: number;
  readonly lacksLineEnd: boolean;
  /** Whole lines follow `last` that are no genuine entries. */
  readonly isDamaged: boolean;
}

/** Far longer than any line. */
const windowBytes = 128 * 1024;

/** Reads what an append needs: the end of the last segment, or of the one before while that is empty. */
export async function readTail(segments: readonly Segment[], key: Uint8Array): Promise<LogTail> {
  const segment = segments.at(-1);
  const nothing = { segment, last: undefined, endBytes: 0, tornBytes: 0, lacksLineEnd: false };
  if (segment === undefined) return { ...nothing, isDamaged: false };
  const own = await readEnd(segment, key);
  if (own.last !== undefined || own.isDamaged) return { segment, ...own };
  // The last segment has no whole line yet.
  for (const before of segments.slice(0, -1).toReversed()) {
    const { last, isDamaged } = await readEnd(before, key);
    if (last !== undefined || isDamaged) return { segment, ...own, last, isDamaged };
  }
  return { segment, ...own };
}

async function readEnd(segment: Segment, key: Uint8Array): Promise<Omit<LogTail, 'segment'>> {
  const start = Math.max(0, segment.sizeBytes - windowBytes);
  const bytes = await readRange(segment, start);
  const lineEnd = bytes.lastIndexOf(10);
  const torn = bytes.subarray(lineEnd + 1);
  const tornPlace = placeOf(torn.toString('utf8'), key);
  if (tornPlace !== undefined) {
    const endBytes = segment.sizeBytes;
    return { last: tornPlace, endBytes, tornBytes: 0, lacksLineEnd: true, isDamaged: false };
  }
  const end = { endBytes: start + lineEnd + 1, tornBytes: torn.length, lacksLineEnd: false };
  const lines = lineEnd < 0 ? [] : bytes.toString('utf8', 0, lineEnd).split('\n').toReversed();
  let isDamaged = false;
  for (const line of lines) {
    const last = placeOf(line, key);
    if (last !== undefined) return { ...end, last, isDamaged };
    isDamaged = true;
  }
  return { ...end, last: undefined, isDamaged };
}

function placeOf(line: string, key: Uint8Array): ChainPlace | undefined {
  return isGenuine(line, key) ? readLine(line) : undefined;
}

async function readRange(segment: Segment, start: number): Promise<Buffer> {
  await using file = await open(segment.path, 'r');
  const bytes = Buffer.alloc(segment.sizeBytes - start);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
