import { closeSync, openSync, readSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';
import { makeDurably, syncDirectory, temporaryIn, writeDurably } from '../../lib/durable-file.ts';
import { isProcessAlive } from '../../lib/process-identity.ts';
import { explainLocal, LocalFileInMaking, putInPlace } from './local-file-in-making.ts';
import { filePath, isFileName, isOwnRootName, isShardName, namedTypes, shardNames } from './layout.ts';
import type {
  ByteRange,
  FileInMaking,
  FileType,
  LoadOptions,
  Store,
  StoredFile,
  StoreOptions,
  StoreTimes,
} from './store.ts';
import {
  alreadyThere,
  anotherThere,
  fileLabel,
  refuseForeign,
  throwIfAborted,
  tooShort,
} from './store-errors.ts';

const promptBytes = 128 * 1024;

/** A repository in a local directory, in restic's default layout. */
export function openLocalStore(directory: string): Store {
  return new LocalStore(directory);
}

class LocalStore implements Store {
  readonly location: string;

  constructor(directory: string) {
    this.location = directory;
  }

  async create(): Promise<void> {
    if (await this.exists('config', '')) throw alreadyThere(this.location);
    refuseForeign(this.location, await this.#foreignNames());
    await this.#explained(async () => {
      await makeDurably(this.location);
      const made = [...namedTypes, ...shardNames().map((shard) => `data/${shard}`)];
      for (const folder of made) await mkdir(`${this.location}/${folder}`, { recursive: true, mode: 0o700 });
      await syncDirectory(`${this.location}/data`);
      await syncDirectory(this.location);
    });
  }

  async save(type: FileType, name: string, content: Uint8Array, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    await options.pace?.take(content.length, options.signal);
    const path = this.#path(type, name);
    const how = { mode: 0o600, sync: type !== 'locks', isNew: type === 'config' };
    await this.#explained(async () => {
      try {
        await putInPlace({ location: this.location, path }, () => writeDurably(path, content, how));
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST' || type !== 'config') throw error;
        if (!(await this.load(type, name)).equals(content)) throw anotherThere(this.location, 'config');
      }
    });
  }

  begin(): FileInMaking {
    return new LocalFileInMaking(this.location);
  }

  async load(type: FileType, name: string, range?: ByteRange, options: LoadOptions = {}): Promise<Buffer> {
    throwIfAborted(options.signal);
    const label = fileLabel(type, name);
    return await this.#explained(async () => {
      if (range && range.length <= promptBytes && !options.pace) return this.#loadPromptly(type, name, range);
      await using file = await open(this.#path(type, name), 'r');
      const { offset, length } = range ?? { offset: 0, length: (await file.stat()).size };
      await options.pace?.take(length, options.signal);
      const buffer = options.room?.take(length) ?? Buffer.allocUnsafe(length);
      const read = await readFully(file, buffer, offset);
      if (read < length) throw tooShort(this.location, label);
      return buffer;
    }, label);
  }

  /**
   * Reads a few kilobytes in this thread: handing them to another takes ten times as long as reading them.
   */
  #loadPromptly(type: FileType, name: string, { offset, length }: ByteRange): Buffer {
    const fd = openSync(this.#path(type, name), 'r');
    try {
      const buffer = Buffer.allocUnsafe(length);
      let done = 0;
      while (done < length) {
        const count = readSync(fd, buffer, done, length - done, offset + done);
        if (count === 0) throw tooShort(this.location, fileLabel(type, name));
        done += count;
      }
      return buffer;
    } finally {
      closeSync(fd);
    }
  }

  async list(type: FileType, options: StoreOptions = {}): Promise<StoredFile[]> {
    throwIfAborted(options.signal);
    if (type === 'config') return (await this.exists('config', '')) ? [{ name: '', sizeBytes: 0 }] : [];
    return await this.#explained(async () => {
      const directories = type === 'data' ? await this.#dataFolders() : [`${this.location}/${type}`];
      const found: StoredFile[] = [];
      for (const directory of directories) {
        throwIfAborted(options.signal);
        for (const file of await this.#listFolder(directory)) found.push(file);
      }
      return found;
    });
  }

  async exists(type: FileType, name: string): Promise<boolean> {
    return await this.#explained(async () => {
      try {
        await access(this.#path(type, name));
        return true;
      } catch (error) {
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
        throw error;
      }
    });
  }

  /** On a network file system, both times come from the server's clock. */
  async times(type: FileType, name: string): Promise<StoreTimes> {
    const probe = temporaryIn(`${this.location}/locks`);
    return await this.#explained(
      async () => {
        const { mtimeMs: writtenMs } = await stat(this.#path(type, name));
        try {
          await writeFile(probe, '', { flag: 'wx', mode: 0o600 });
          return { nowMs: (await stat(probe)).mtimeMs, writtenMs };
        } finally {
          await rm(probe, { force: true });
        }
      },
      fileLabel(type, name),
    );
  }

  async removeLeftovers(): Promise<void> {
    // Writing a pack may take as long as its backup, and a process on another machine is not visible here.
    const locks = await readdir(`${this.location}/locks`).catch(() => undefined);
    if (locks === undefined || locks.filter(isFileName).length > 1) return;
    const dataFolders = await this.#dataFolders().catch(() => []);
    const folders = namedTypes.map((folder) => `${this.location}/${folder}`);
    const directories = [this.location, ...folders, ...dataFolders];
    // Leftovers cost only space.
    await Promise.all(directories.map((directory) => removeLeftoversIn(directory).catch(() => undefined)));
  }

  async remove(type: FileType, name: string, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    await this.#explained(async () => {
      await rm(path, { force: true });
      // After a power cut, no restored snapshot or index file may name data that was removed after it.
      if (type === 'snapshots' || type === 'index') await syncDirectory(dirname(path));
    });
  }

  async #dataFolders(): Promise<string[]> {
    const names = await this.#namesIn(`${this.location}/data`);
    return names.filter(isShardName).map((name) => `${this.location}/data/${name}`);
  }

  async #listFolder(directory: string): Promise<StoredFile[]> {
    const names = (await this.#namesIn(directory)).filter(isFileName);
    const found: StoredFile[] = [];
    for (const name of names) {
      try {
        const { size, mtimeMs } = await stat(`${directory}/${name}`);
        found.push({ name, sizeBytes: size, modifiedMs: mtimeMs });
      } catch (error) {
        // Removed by another process after the listing.
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    }
    return found;
  }

  /** A missing folder of an existing repository is empty: copies may leave out empty folders. */
  async #namesIn(directory: string): Promise<string[]> {
    try {
      return await readdir(directory);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || !(await this.exists('config', ''))) throw error;
      return [];
    }
  }

  async #foreignNames(): Promise<string[]> {
    try {
      return (await readdir(this.location)).filter((name) => !isOwnRootName(name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      if (errnoOf(error) === 'ENOTDIR') throw notADirectory(this.location, error);
      throw explainLocal(error, this.location);
    }
  }

  #path(type: FileType, name: string): string {
    return `${this.location}/${filePath(type, name)}`;
  }

  async #explained<T>(work: () => Promise<T>, file?: string): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explainLocal(error, this.location, file);
    }
  }
}

/** Matches the names that `temporaryIn` returns. */
const leftoverPattern = /^tmp-(\d+)-[0-9a-f]{16}$/;
/**
 * The process may run on another machine that shares the disk; writing a file at once takes less time than
 * this.
 */
const leftoverAgeMs = 60 * 60_000;

async function removeLeftoversIn(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = leftoverPattern.exec(name)?.[1];
    if (pid === undefined || isProcessAlive(Number(pid))) continue;
    try {
      const { mtimeMs } = await stat(`${directory}/${name}`);
      if (Date.now() - mtimeMs > leftoverAgeMs) await rm(`${directory}/${name}`);
    } catch {
      // The file is gone, or we may not remove it; it only takes space.
    }
  }
}

function notADirectory(location: string, cause: unknown): AppError {
  return new AppError('usage', `Cannot make a repository in "${location}": it is a file, not a directory`, {
    cause,
  });
}

async function readFully(file: FileHandle, buffer: Buffer, offset: number): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
