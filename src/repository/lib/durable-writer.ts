import { closeSync, fsync, openSync, unlinkSync, writeSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { syncDirectory, temporaryIn } from '../../lib/durable-file.ts';

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
