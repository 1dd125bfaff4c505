import type { DataRun } from '../../model/entry.ts';
import { truncated, type ByteSource } from './byte-source.ts';
import { readNumber } from './header-block.ts';
import { blockSize, damaged, maxMetadataBytes, paddingOf } from './tar-member.ts';

/** This many runs fit in what a reader accepts. */
const maxRuns = 200_000;

/**
 * Widens runs to whole blocks and joins those that then touch, as tar requires. A file with more runs than a
 * reader accepts loses its smallest holes.
 */
export function alignRuns(runs: readonly DataRun[], size: number): DataRun[] {
  let aligned = joinRuns(runs, size, 0);
  for (let gap = blockSize; aligned.length > maxRuns; gap *= 2) aligned = joinRuns(aligned, size, gap);
  return aligned;
}

function joinRuns(runs: readonly DataRun[], size: number, smallestHole: number): DataRun[] {
  const joined: { offset: number; length: number }[] = [];
  let last: { offset: number; length: number } | undefined;
  for (const run of runs) {
    if (run.length === 0) continue;
    const start = run.offset - (run.offset % blockSize);
    const runEnd = run.offset + run.length;
    const end = Math.min(runEnd + paddingOf(runEnd), size);
    if (last !== undefined && start <= last.offset + last.length + smallestHole)
      last.length = end - last.offset;
    else joined.push((last = { offset: start, length: end - start }));
  }
  return joined;
}

/** The map before the data in GNU's sparse format 1.0. A run of length 0 marks a hole at the end. */
export function formatSparseMap(runs: readonly DataRun[], size: number): Buffer {
  const last = runs.at(-1);
  const isOpenEnded = last === undefined || last.offset + last.length < size;
  const lines = [runs.length + (isOpenEnded ? 1 : 0)];
  for (const run of runs) lines.push(run.offset, run.length);
  if (isOpenEnded) lines.push(size, 0);
  const text = `${lines.join('\n')}\n`;
  return Buffer.from(text.padEnd(text.length + paddingOf(text.length), '\0'), 'latin1');
}

/** Reads such a map from the start of a member's body. */
export async function readSparseMap(source: ByteSource): Promise<{ numbers: number[]; bytesRead: number }> {
  const numbers: number[] = [];
  let bytesRead = 0;
  let expected = 1;
  let digits = '';
  while (numbers.length < expected) {
    const block = await source.take(blockSize);
    if (block === undefined) throw truncated();
    bytesRead += blockSize;
    if (bytesRead > maxMetadataBytes) throw damaged('The map of a sparse file is too long.');
    const lines = (digits + block.toString('latin1')).split('\n');
    digits = lines.pop() ?? '';
    for (const line of lines) {
      if (numbers.length < expected) numbers.push(mapNumber(line));
      if (numbers.length === 1) expected = 1 + 2 * (numbers[0] ?? 0);
    }
    if (digits.length > 20 && numbers.length < expected)
      throw damaged('The map of a sparse file cannot be read.');
  }
  return { numbers: numbers.slice(1), bytesRead };
}

/** The map of formats 0.0 and 0.1, from a record. */
export function parseSparseRecord(text: string): number[] {
  return text === '' ? [] : text.split(',').map(mapNumber);
}

/** The map of GNU's old format: four runs in the header, more of them in blocks that follow it. */
export async function readOldSparseMap(
  header: Buffer,
  source: ByteSource,
): Promise<{ numbers: number[]; size: number }> {
  const size = readNumber(header, 483, 12);
  const numbers = readOldRuns(header, 386, 4);
  let isExtended = header[482] !== 0;
  for (let bytesRead = 0; isExtended; bytesRead += blockSize) {
    if (bytesRead > maxMetadataBytes) throw damaged('The map of a sparse file is too long.');
    const block = await source.take(blockSize);
    if (block === undefined) throw truncated();
    numbers.push(...readOldRuns(block, 0, 21));
    isExtended = block[504] !== 0;
  }
  return { numbers, size };
}

function readOldRuns(block: Buffer, offset: number, count: number): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < count; index++) {
    const at = offset + index * 24;
    if (block[at] === 0) break;
    numbers.push(readNumber(block, at, 12), readNumber(block, at + 12, 12));
  }
  return numbers;
}

/**
 * Alternating offsets and lengths, verified: in order, without overlap, inside the file, and as long as the
 * data that follows.
 */
export function checkedRuns(numbers: readonly number[], size: number, dataBytes: number): DataRun[] {
  const runs: DataRun[] = [];
  let end = 0;
  let total = 0;
  for (let index = 0; index < numbers.length; index += 2) {
    const offset = numbers[index] ?? Number.NaN;
    const length = numbers[index + 1] ?? Number.NaN;
    if (!(offset >= end && length >= 0 && offset + length <= size))
      throw damaged('The map of a sparse file is wrong.');
    if (length > 0) runs.push({ offset, length });
    end = offset + length;
    total += length;
  }
  if (total !== dataBytes || !(size >= 0)) {
    throw damaged('The map of a sparse file does not agree with its data.');
  }
  return runs;
}

function mapNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw damaged('The map of a sparse file holds something that is no number.');
  return value;
}
