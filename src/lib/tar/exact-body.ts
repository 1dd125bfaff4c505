import { toPrintable, type ByteString } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import type { ProblemReporter, TreeProblem } from '../tree-problem.ts';
import { paddingOf } from './tar-member.ts';

export interface ExactBodyOptions {
  readonly path: ByteString;
  /** The parts of the body, in order: bytes of the source, or zeros. */
  readonly pieces: readonly { readonly bytes: number; readonly isHole?: boolean }[];
  readonly report: ProblemReporter;
}

/** A stream whose first chunk has already been read. */
export interface OpenedSource {
  readonly first: IteratorResult<Uint8Array>;
  readonly rest: AsyncIterator<Uint8Array>;
}

/**
 * Yields exactly as many bytes as the pieces say, padded to a whole block, whatever the source yields. The
 * caller closes the source.
 */
export async function* exactBody(
  source: OpenedSource,
  options: ExactBodyOptions,
): AsyncGenerator<Uint8Array> {
  const reader = new SourceReader(source);
  let total = 0;
  for (const piece of options.pieces) {
    total += piece.bytes;
    let missing = piece.bytes;
    while (missing > 0) {
      const chunk = piece.isHole === true ? undefined : await reader.next(missing);
      const bytes = chunk ?? zeros(missing);
      missing -= bytes.length;
      yield bytes;
    }
  }
  const padding = paddingOf(total);
  if (padding > 0) yield zeros(padding);
  if (reader.problem === undefined) await reader.expectEnd();
  if (reader.problem !== undefined) options.report(describe(options.path, reader.problem));
}

type SourceProblem = 'short' | 'long' | { readonly errno: string };

class SourceReader {
  readonly #rest: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended: boolean;
  problem: SourceProblem | undefined;

  constructor({ first, rest }: OpenedSource) {
    this.#rest = rest;
    this.#ended = first.done === true;
    if (first.done !== true) this.#chunk = first.value;
  }

  /** Up to `limit` bytes; undefined, and a problem, when the source has no more. */
  async next(limit: number): Promise<Uint8Array | undefined> {
    while (this.#chunk.length === 0) {
      if (this.#ended) {
        this.problem ??= 'short';
        return undefined;
      }
      await this.#advance();
    }
    const bytes = this.#chunk.length <= limit ? this.#chunk : this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.subarray(bytes.length);
    return bytes;
  }

  async expectEnd(): Promise<void> {
    while (this.#chunk.length === 0 && !this.#ended) await this.#advance();
    if (this.#chunk.length > 0) this.problem = 'long';
  }

  async #advance(): Promise<void> {
    try {
      const next = await this.#rest.next();
      if (next.done === true) this.#ended = true;
      else this.#chunk = next.value;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      this.#ended = true;
      this.problem = { errno };
    }
  }
}

function describe(entryPath: ByteString, problem: SourceProblem): TreeProblem {
  const path = toPrintable(entryPath);
  if (problem === 'short') {
    const message = `"${path}" became shorter while it was read: its end is filled with zeros`;
    return { path, reason: 'changed', message };
  }
  if (problem === 'long') {
    return {
      path,
      reason: 'changed',
      message: `"${path}" grew while it was read: what was added is left out`,
    };
  }
  const message = `"${path}" could not be read to its end (${problem.errno}): the rest is filled with zeros`;
  return { path, reason: 'unreadable', message };
}

const zeroBlock = Buffer.alloc(64 * 1024);

/** The shared zeros are never written to. */
function zeros(limit: number): Uint8Array {
  return zeroBlock.subarray(0, limit);
}
