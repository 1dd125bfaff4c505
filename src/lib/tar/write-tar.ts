import { toPrintable, type ByteString } from '../../model/byte-string.ts';
import type { DataRun, Entry } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { type ProblemReporter, readProblem } from '../tree-problem.ts';
import { exactBody, type OpenedSource } from './exact-body.ts';
import { hasOversizedAttributes, memberHeader, type MemberLayout } from './member-header.ts';
import { alignRuns, formatSparseMap } from './sparse-map.ts';
import { blockSize, type TarSource } from './tar-member.ts';

export interface WriteTarOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for entries that tar cannot hold (sockets), which are left out. */
  readonly onSkipped?: ((entry: Entry, message: string) => void) | undefined;
  /**
   * Called for a file that could not be read, or differed in size from its entry. The archive stays valid.
   */
  readonly onProblem?: ProblemReporter | undefined;
}

const bufferBytes = 256 * 1024;
const copyLimit = 32 * 1024;

/**
 * Writes entries as a tar archive in the PAX format, with all their metadata, which GNU tar extracts exactly.
 *
 * A file always takes exactly the bytes that its entry says: truncated or padded with zeros, and reported. A
 * file that cannot be opened is left out and reported, and so are the hard links to it. Yielded chunks are
 * not reused.
 */
export async function* writeTar(
  sources: AsyncIterable<TarSource> | Iterable<TarSource>,
  options: WriteTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const lost = new Set<ByteString>();
  const output = new ChunkBuffer();
  for await (const source of sources) {
    if (options.signal?.aborted === true)
      throw new AppError('cancelled', 'Cancelled while writing the tar archive');
    const member = await startMember(source, options, lost);
    if (member === undefined) continue;
    try {
      for (const piece of member.head) {
        if (!output.fits(piece.length)) yield* output.take();
        output.append(piece);
      }
      if (member.body === undefined) continue;
      for await (const chunk of member.body) {
        const isLarge = chunk.length >= copyLimit;
        if (isLarge || !output.fits(chunk.length)) yield* output.take();
        if (isLarge) yield chunk;
        else output.append(chunk);
      }
    } finally {
      await member.opened?.rest.return?.();
    }
  }
  if (!output.fits(2 * blockSize)) yield* output.take();
  output.append(Buffer.alloc(2 * blockSize));
  yield* output.take();
}

interface StartedMember {
  readonly head: readonly Buffer[];
  readonly body?: AsyncIterable<Uint8Array> | undefined;
  readonly opened?: OpenedSource | undefined;
}

/** Opens a member's file before its header is written: after that there is no way back. */
async function startMember(
  source: TarSource,
  options: WriteTarOptions,
  lost: Set<ByteString>,
): Promise<StartedMember | undefined> {
  const entry = storable(source.entry, options);
  if (entry.type === 'socket') {
    lost.add(entry.path);
    options.onSkipped?.(entry, `Left out "${toPrintable(entry.path)}": a tar archive cannot hold sockets`);
    return undefined;
  }
  if (entry.hardLinkTo !== undefined && lost.has(entry.hardLinkTo)) {
    const target = toPrintable(entry.hardLinkTo);
    const message = `Left out "${toPrintable(entry.path)}": it is the same file as "${target}", which was left out`;
    options.onProblem?.({ path: toPrintable(entry.path), reason: 'unreadable', message });
    return undefined;
  }
  if (entry.type !== 'file' || entry.hardLinkTo !== undefined) {
    return { head: [memberHeader(entry, { storedBytes: 0 })] };
  }
  const opened = await openSource(source, options, lost);
  if (opened === undefined) return undefined;
  return startFile(entry, opened, options);
}

function startFile(entry: Entry, opened: OpenedSource, options: WriteTarOptions): StartedMember {
  const report: ProblemReporter = (problem) => options.onProblem?.(problem);
  if (entry.dataRuns === undefined) {
    const layout: MemberLayout = { storedBytes: entry.size };
    const body = exactBody(opened, { path: entry.path, pieces: [{ bytes: entry.size }], report });
    const isEmpty = entry.size === 0 && opened.first.done === true;
    return { head: [memberHeader(entry, layout)], opened, body: isEmpty ? undefined : body };
  }
  const alignedRuns = alignRuns(entry.dataRuns, entry.size);
  const map = formatSparseMap(alignedRuns, entry.size);
  const storedBytes = alignedRuns.reduce((sum, run) => sum + run.length, map.length);
  const pieces = piecesOf(entry.dataRuns, alignedRuns);
  const body = exactBody(opened, { path: entry.path, pieces, report });
  return { head: [memberHeader(entry, { storedBytes, alignedRuns }), map], opened, body };
}

/** The content of the aligned runs: the data of the runs, and zeros around them. */
function piecesOf(runs: readonly DataRun[], aligned: readonly DataRun[]) {
  const pieces: { bytes: number; isHole?: boolean }[] = [];
  let next = 0;
  for (const wide of aligned) {
    const end = wide.offset + wide.length;
    let at = wide.offset;
    for (let run = runs[next]; run !== undefined && run.offset < end; run = runs[++next]) {
      if (run.offset > at) pieces.push({ bytes: run.offset - at, isHole: true });
      pieces.push({ bytes: run.length });
      at = run.offset + run.length;
    }
    if (at < end) pieces.push({ bytes: end - at, isHole: true });
  }
  return pieces;
}

async function openSource(
  { entry, open }: TarSource,
  options: WriteTarOptions,
  lost: Set<ByteString>,
): Promise<OpenedSource | undefined> {
  try {
    const rest = (open ?? nothing)()[Symbol.asyncIterator]();
    return { first: await rest.next(), rest };
  } catch (error) {
    const problem = readProblem(entry.path, error);
    lost.add(entry.path);
    options.onProblem?.(problem);
    return undefined;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function storable(entry: Entry, options: WriteTarOptions): Entry {
  if (entry.xattrs === undefined || !hasOversizedAttributes(entry)) return entry;
  const message = `Wrote "${toPrintable(entry.path)}" without its extended attributes: they are larger than a tar archive can hold`;
  options.onProblem?.({ path: toPrintable(entry.path), reason: 'unsupported', message });
  const { xattrs: _, ...rest } = entry;
  return rest;
}

/** Collects small pieces, so that a million small files are not a million chunks. */
class ChunkBuffer {
  #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #used = 0;
  #oversized: Buffer[] = [];

  fits(length: number): boolean {
    return this.#oversized.length === 0 && this.#used + length <= bufferBytes;
  }

  append(bytes: Uint8Array): void {
    if (bytes.length > bufferBytes - this.#used) {
      this.#oversized.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  take(): Buffer[] {
    const chunks: Buffer[] = [];
    if (this.#used > 0) {
      chunks.push(this.#buffer.subarray(0, this.#used));
      this.#buffer = Buffer.allocUnsafeSlow(bufferBytes);
      this.#used = 0;
    }
    chunks.push(...this.#oversized);
    this.#oversized = [];
    return chunks;
  }
}
