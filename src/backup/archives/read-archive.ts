import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { decompressed } from '../../volumes/index.ts';
import { throughProgram } from './filter-program.ts';
import { readTar } from '../../lib/tar/read-tar.ts';
import type { TarMember } from '../../lib/tar/tar-member.ts';
import type { ProblemReporter } from '../../lib/tree-problem.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

const pieceBytes = 1024 * 1024;

/** An open archive, which can be read several times. */
export class Archive implements AsyncDisposable {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, where: string, sizeBytes: number) {
    this.#file = file;
    this.path = where;
    this.sizeBytes = sizeBytes;
  }

  /** Regular files only, so that it never blocks. */
  static async open(where: string): Promise<Archive> {
    const name = quote(path.basename(where));
    try {
      const file = await open(where, constants.O_RDONLY | constants.O_NONBLOCK);
      const found = await file.stat();
      if (found.isFile()) return new Archive(file, where, found.size);
      await file.close();
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      const code = errno === 'ENOENT' ? 'not-found' : errno === 'EACCES' ? 'denied' : 'failed';
      throw new AppError(code, `Cannot read ${name}: ${errno}`, { cause: error });
    }
    throw new AppError('usage', `Cannot import ${name}: it is no file`);
  }

  /** SHA-256 of the file itself, in hex. */
  async digest(signal: AbortSignal | undefined): Promise<string> {
    const hash = createHash('sha256');
    for await (const _ of this.#bytes(hash, signal));
    return hash.digest('hex');
  }

  /** Its members. At the end, verifies that the file still has this digest. */
  async *members(
    digest: string,
    { signal, onProblem }: { signal?: AbortSignal | undefined; onProblem?: ProblemReporter | undefined },
  ): AsyncGenerator<TarMember, void, undefined> {
    const hash = createHash('sha256');
    // The presets of xz need 65 MiB at most; a file can demand all memory.
    const options = { xz: ['--memlimit-decompress=256MiB'], bzip2: [] } as const;
    const kind = await this.#compression();
    const bytes = this.#bytes(hash, signal);
    const plain =
      kind === undefined
        ? decompressed(bytes)
        : throughProgram(bytes, kind, ['--decompress', '--stdout', ...options[kind]]);
    yield* readTar(plain, { signal, onProblem });
    if (hash.digest('hex') === digest) return;
    throw new AppError('conflict', `${quote(path.basename(this.path))} was changed while it was read`, {
      hint: 'Import it again when nothing writes to it any more.',
    });
  }

  async #compression(): Promise<'xz' | 'bzip2' | undefined> {
    const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(6), 0, 6, 0);
    const head = buffer.toString('latin1', 0, bytesRead);
    if (head.startsWith('\u00fd7zXZ\0')) return 'xz';
    return head.startsWith('BZh') ? 'bzip2' : undefined;
  }

  async *#bytes(hash: Hash, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; ;) {
      if (signal?.aborted) throw new AppError('cancelled', 'Cancelled');
      const { buffer, bytesRead } = await this.#file.read(
        Buffer.allocUnsafeSlow(pieceBytes),
        0,
        pieceBytes,
        at,
      );
      if (bytesRead === 0) return;
      at += bytesRead;
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      yield piece;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
