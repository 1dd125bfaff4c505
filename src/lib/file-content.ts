import { closeSync, constants, fstatSync, read as readCallback, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import type { DataRun, Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { openRegularPath } from './open-regular.ts';
import type { FileStat } from './posix-at.ts';
import { dataRuns } from './posix.ts';
import type { ProblemReporter } from './tree-problem.ts';

const readAsync = promisify(readCallback);

/** Read synchronously up to this size. */
const smallBytes = 128 * 1024;
const chunkBytes = 1024 * 1024;

/**
 * Opens the regular file that `stat` describes. Anything else in its place is an error (`ENOTDIR`, or
 * `ENOENT` for another file), and is not opened.
 */
export function openRegularFile(path: ByteString, stat: FileStat): number {
  const { fd, stat: now } = openRegularPath(path, constants.O_RDONLY);
  if (now.ino === stat.ino && now.dev === stat.dev) return fd;
  closeSync(fd);
  throw Object.assign(new Error('The file was replaced.'), { code: 'ENOENT' });
}

/** The data runs of a file that uses less space than its size; undefined for a file without holes. */
export function sparseRuns(path: ByteString, stat: FileStat): DataRun[] | undefined {
  if (stat.blocks * 512n >= stat.size) return undefined;
  const fd = openRegularFile(path, stat);
  try {
    const size = Number(stat.size);
    const runs = dataRuns(fd, size);
    const isWhole = runs?.length === 1 && runs[0]?.offset === 0 && runs[0].length === size;
    return isWhole ? undefined : runs;
  } finally {
    closeSync(fd);
  }
}

export interface ReadContentOptions {
  readonly entry: Entry;
  /** Taken before the read; a difference at the end means that the file changed meanwhile. */
  readonly stat: FileStat;
  readonly signal?: AbortSignal | undefined;
  readonly onProblem?: ProblemReporter | undefined;
}

/**
 * The bytes of a file, or of its data runs, as far as they exist, and a report when it changed. Opens the
 * file with the first read.
 */
export async function* readContent(
  path: ByteString,
  options: ReadContentOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openRegularFile(path, options.stat);
  try {
    for await (const bytes of readRuns(fd, options.entry)) {
      if (options.signal?.aborted === true) {
        throw new AppError('cancelled', `Cancelled while reading "${toPrintable(options.entry.path)}"`);
      }
      yield bytes;
    }
    reportChange(fd, options);
  } finally {
    closeSync(fd);
  }
}

/** The bytes of an open file, or of its data runs, as far as they exist. */
export async function* readRuns(fd: number, entry: Entry): AsyncGenerator<Uint8Array, void, undefined> {
  for (const run of entry.dataRuns ?? [{ offset: 0, length: entry.size }]) {
    const end = run.offset + run.length;
    for (let at = run.offset; at < end;) {
      const bytes = await readChunk(fd, at, Math.min(end - at, chunkBytes));
      // The file became shorter, which the reader notices.
      if (bytes.length === 0) return;
      at += bytes.length;
      yield bytes;
    }
  }
}

async function readChunk(fd: number, position: number, length: number): Promise<Uint8Array> {
  const buffer = length <= 4096 ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  const bytesRead =
    length <= smallBytes
      ? readSync(fd, buffer, 0, length, position)
      : (await readAsync(fd, buffer, 0, length, position)).bytesRead;
  return bytesRead === length ? buffer : buffer.subarray(0, bytesRead);
}

/**
 * Reports a file that was written to since `stat` was taken: its content may be of several moments. A file
 * that became shorter is reported by the receiver, who misses bytes.
 */
function reportChange(fd: number, { entry, stat, onProblem }: ReadContentOptions): void {
  const now = fstatSync(fd, { bigint: true });
  if (now.size < stat.size || (now.size === stat.size && now.mtimeNs === stat.mtimeNs)) return;
  const path = toPrintable(entry.path);
  onProblem?.({ path, reason: 'changed', message: `"${path}" was written to while it was read` });
}
