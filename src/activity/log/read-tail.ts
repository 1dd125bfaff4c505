import { open } from 'node:fs/promises';
import { type ChainPlace, isGenuine, readLine } from './chain.ts';
import type { Segment } from './segments.ts';

/** What stands at the end of the log. */
export interface LogTail {
  /** The last segment, into which is written; undefined where there is none. */
  readonly segment: Segment | undefined;
  /** The last entry that the key proves; undefined where there is none. */
  readonly last: ChainPlace | undefined;
  /** Where the last whole line of the last segment ends. */
  readonly endBytes: number;
  /** Bytes behind it: a line that was not finished. */
  readonly tornBytes: number;
  /** The last line lacks nothing but its end. */
  readonly lacksLineEnd: boolean;
  /** There are whole lines behind `last` that are no genuine entries. */
  readonly isDamaged: boolean;
}

/** No line is nearly as long. */
const windowBytes = 128 * 1024;

/** Reads as much as it takes to go on: the end of the last segment, or of the one before while that is empty. */
export async function readTail(segments: readonly Segment[], key: Uint8Array): Promise<LogTail> {
  const segment = segments.at(-1);
  const nothing = { segment, last: undefined, endBytes: 0, tornBytes: 0, lacksLineEnd: false };
  if (segment === undefined) return { ...nothing, isDamaged: false };
  const own = await readEnd(segment, key);
  if (own.last !== undefined || own.isDamaged) return { segment, ...own };
  // It was begun and nothing whole was written yet.
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
