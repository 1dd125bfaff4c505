import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  write as writeCallback,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import type { DataRun, Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import { applyMetadata, type MetadataTarget } from './apply-metadata.ts';
import { cloneFile } from './ioctl.ts';
import { readRuns } from './file-content.ts';
import type { ProblemReporter } from './tree-problem.ts';

const writeAsync = promisify(writeCallback);

/** Larger pieces are written without blocking this thread. */
const syncLimit = 256 * 1024;

/**
 * The content of a file: its bytes (those of its data runs, for a sparse file), or an open file to share
 * blocks with.
 */
export type FileContent = AsyncIterable<Uint8Array> | { readonly fd: number };

export interface FileTargetOptions {
  readonly entry: Entry;
  readonly metadata: Pick<MetadataTarget, 'inheritedAcl' | 'setsOwner'>;
  readonly report: ProblemReporter;
  readonly onBytes: (bytes: number) => void;
}

/** Creates a new file with content and metadata. `EEXIST` when the name is taken. */
export async function writeFileContent(
  at: ByteString,
  content: FileContent | undefined,
  options: FileTargetOptions,
): Promise<void> {
  const { entry, metadata, report } = options;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(toPath(at), flags, 0o600);
  try {
    if (content !== undefined && 'fd' in content) await cloneOrCopy(fd, content.fd, options);
    else await writeRuns(fd, content ?? [], options);
    applyMetadata({ ...metadata, at, fd }, entry, report);
  } finally {
    closeSync(fd);
  }
}

async function cloneOrCopy(fd: number, from: number, options: FileTargetOptions): Promise<void> {
  const { entry } = options;
  if (entry.size === 0 || !cloneFile(fd, from)) return writeRuns(fd, readRuns(from, entry), options);
  options.onBytes(entry.size);
  const size = Number(fstatSync(fd).size);
  if (size === entry.size) return;
  ftruncateSync(fd, entry.size);
  if (size < entry.size) reportShort(options);
}

async function writeRuns(
  fd: number,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: FileTargetOptions,
): Promise<void> {
  const { entry } = options;
  const runs: Iterator<DataRun> = (entry.dataRuns ?? [{ offset: 0, length: entry.size }])[Symbol.iterator]();
  let run: DataRun = { offset: 0, length: 0 };
  let written = 0;
  let end = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0;) {
      while (written === run.length) {
        const next = runs.next();
        if (next.done === true) throw tooLong(entry);
        run = next.value;
        written = 0;
      }
      const piece = rest.length <= run.length - written ? rest : rest.subarray(0, run.length - written);
      await writeAll(fd, piece, run.offset + written);
      written += piece.length;
      end = run.offset + written;
      options.onBytes(piece.length);
      rest = rest.subarray(piece.length);
    }
  }
  const missing =
    run.length -
    written +
    [...{ [Symbol.iterator]: () => runs }].reduce((sum, { length }) => sum + length, 0);
  if (end < entry.size) ftruncateSync(fd, entry.size);
  if (missing > 0) reportShort(options);
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const length = bytes.length - done;
    done +=
      length <= syncLimit
        ? writeSync(fd, bytes, done, length, position + done)
        : (await writeAsync(fd, bytes, done, length, position + done)).bytesWritten;
  }
}

function tooLong(entry: Entry): AppError {
  const message = `Cannot write "${toPrintable(entry.path)}": more data follows than its ${entry.size} bytes`;
  return new AppError('integrity', message);
}

function reportShort({ entry, report }: FileTargetOptions): void {
  const path = toPrintable(entry.path);
  report({
    path,
    reason: 'changed',
    message: `"${path}" became shorter while it was read: its end is filled with zeros`,
  });
}
