import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsync, openSync, unlinkSync, writeSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { makeDurably, syncDirectory, temporaryIn } from '../../lib/durable-file.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { filePath } from './layout.ts';
import { missingFile, noRepository } from './store-errors.ts';
import type { FileInMaking } from './store.ts';

/** A pack being written into a local directory: a temporary file until it is finished. */
export class LocalFileInMaking implements FileInMaking {
  readonly #location: string;
  readonly #writer: DurableWriter;

  constructor(location: string) {
    this.#location = location;
    try {
      this.#writer = openWriter(location);
    } catch (error) {
      throw explainLocal(error, location);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      this.#writer.write(bytes);
    } catch (error) {
      throw explainLocal(error, this.#location);
    }
  }

  async finish(name: string): Promise<void> {
    try {
      const path = `${this.#location}/${filePath('data', name)}`;
      await putInPlace({ location: this.#location, path }, () => this.#writer.moveTo(path));
    } catch (error) {
      this.#writer.abandon();
      // The folder exists or was created, so the file is missing.
      if (errnoOf(error) === 'ENOENT' && isRepository(this.#location)) throw takenAway(this.#location, error);
      throw explainLocal(error, this.#location);
    }
  }

  abandon(): void {
    this.#writer.abandon();
  }
}

function takenAway(location: string, cause: unknown): AppError {
  return new AppError('conflict', `A pack in the making was removed from repository "${location}"`, {
    hint: 'Another program tidies up in the repository without a lock. Find it before you run this again.',
    cause,
  });
}

/**
 * Writes into any of the pack folders, since the name is not known yet; where they are missing, into their
 * parent.
 */
function openWriter(location: string): DurableWriter {
  try {
    return new DurableWriter(`${location}/data/${randomBytes(1).toString('hex')}`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return new DurableWriter(location);
  }
}

/**
 * Explains a system error for a repository in a local directory. `file` is the file in question, if there was
 * one.
 */
export function explainLocal(error: unknown, location: string, file?: string): unknown {
  const where = `repository "${location}"`;
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return file ? missingFile(location, file, error) : noRepository(location, error);
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('full', `Cannot write to ${where}: the disk is full`, {
        hint: 'Free space on that disk and run the command again: it goes on from what is stored.',
        cause: error,
      });
    case 'EROFS':
      return new AppError('read-only', `Cannot write to ${where}: its file system is read-only`, {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new AppError('denied', `Cannot use ${where}: permission denied`, {
        hint: 'Run as the user who owns it.',
        cause: error,
      });
    case 'EIO':
      return new AppError('failed', `Cannot use ${where}: the disk reports an input/output error`, {
        hint: 'Look at the kernel log, and check the disk before anything else.',
        cause: error,
      });
    case undefined:
      return error;
    default:
      return new AppError('failed', `Cannot use ${where}: ${errnoOf(error)}`, { cause: error });
  }
}

/**
 * Moves a file to its place in a local repository. A missing folder is created, as a copy may lack empty
 * ones; a repository that is missing entirely is never created anew.
 */
export async function putInPlace(
  { location, path }: { readonly location: string; readonly path: string },
  put: () => Promise<void>,
): Promise<void> {
  try {
    await put();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || !isRepository(location)) throw error;
    await makeDurably(dirname(path));
    await put();
  }
}

function isRepository(location: string): boolean {
  return existsSync(`${location}/config`);
}

const syncFile = promisify(fsync);

/**
 * A file written piece by piece, for a caller that never has all of it in memory. It gets its name and
 * becomes durable at the end, all or nothing as with `writeDurably`.
 */
export class DurableWriter {
  readonly #temporary: string;
  #fd: number;
  #isAbandoned = false;

  /** Creates a temporary file in a folder, which must be on the file system of the final path. */
  constructor(folder: string, mode = 0o600) {
    this.#temporary = temporaryIn(folder);
    this.#fd = openSync(this.#temporary, 'wx', mode);
  }

  /** On return the caller may reuse the bytes. When it throws, the file is gone. */
  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /**
   * On return the file is complete and durable. When it throws because the folder is missing, the caller can
   * create that and try again. After a failed sync the file is gone: Linux reports lost writes only once, so
   * a second sync would prove nothing.
   */
  async moveTo(path: string): Promise<void> {
    if (this.#isAbandoned) throw new Error(`An abandoned file cannot become "${path}"`);
    try {
      if (this.#fd >= 0) await syncFile(this.#fd);
      this.#close();
    } catch (error) {
      this.abandon();
      throw error;
    }
    await rename(this.#temporary, path);
    await syncDirectory(dirname(path));
  }

  /** Removes the file, unless it already has its final name. */
  abandon(): void {
    this.#isAbandoned = true;
    try {
      this.#close();
    } catch {
      // Its content is no longer needed.
    }
    try {
      unlinkSync(this.#temporary);
    } catch {
      // The file has its final name, or is a leftover, recognizable by its name.
    }
  }

  #close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }
}
