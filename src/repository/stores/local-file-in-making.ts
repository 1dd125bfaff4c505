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

/** A pack on its way into a local directory: a temporary file until it is finished. */
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
      // Its folder is there, or was made: what is missing is the file.
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

/** In any of the folders of packs, since the name is not known yet, or where they are missing in the one above all. */
function openWriter(location: string): DurableWriter {
  try {
    return new DurableWriter(`${location}/data/${randomBytes(1).toString('hex')}`);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return new DurableWriter(location);
  }
}

/** What a system error means for a repository in a local directory. `file` is what was looked for, if it was one file. */
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
 * Puts a file where it belongs in a local repository. One that was copied without its empty folders gets them back; one
 * that is gone as a whole is never made anew in its place.
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
 * A file that is written as it comes, for those who never have all of it in memory. Its name and its durability come at
 * the end, all or nothing as with `writeDurably`.
 */
export class DurableWriter {
  readonly #temporary: string;
  #fd: number;
  #isAbandoned = false;

  /** Makes a temporary file in a folder, which must be on the file system where the file is to be. */
  constructor(folder: string, mode = 0o600) {
    this.#temporary = temporaryIn(folder);
    this.#fd = openSync(this.#temporary, 'wx', mode);
  }

  /** The bytes are the caller's again when it returns. When it throws, the file is gone. */
  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /**
   * When it returns, the file is there completely and durably. Where it throws because the folder is missing, it can be
   * tried again with the folder. What could not be written down is gone: the disk is not asked twice, since Linux tells of
   * the bytes that it lost once only.
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

  /** Removes what was written, unless it has its name already. */
  abandon(): void {
    this.#isAbandoned = true;
    try {
      this.#close();
    } catch {
      // Its bytes are not wanted any more.
    }
    try {
      unlinkSync(this.#temporary);
    } catch {
      // It has its name, or is one more leftover: its name says so.
    }
  }

  #close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }
}
