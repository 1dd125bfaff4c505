import { randomBytes, randomInt } from 'node:crypto';
import { AppError } from '../../../model/errors.ts';
import type { SftpAddress } from '../address.ts';
import { filePath, isFileName, isOwnRootName, isShardName, namedTypes, shardNames } from '../layout.ts';
import {
  alreadyThere,
  anotherThere,
  fileLabel,
  fullStore,
  missingFile,
  noRepository,
  refuseForeign,
  ServerFault,
  throwIfAborted,
  tooShort,
} from '../store-errors.ts';
import type {
  ByteRange,
  FileType,
  LoadOptions,
  Store,
  StoredFile,
  StoreOptions,
  StoreTimes,
} from '../store.ts';
import { type SftpEntry, status } from './packets.ts';
import { SftpFiles } from './sftp-files.ts';
import { SftpSession, SftpStatus } from './sftp-session.ts';

/** A repository in a folder of an SSH server, in restic's default layout. */
export function openSftpStore(address: SftpAddress): Store {
  return new SftpStore(address);
}

const foldersAtOnce = 16;

class SftpStore implements Store {
  readonly location: string;
  readonly #address: SftpAddress;
  readonly #root: string;
  #opening: Promise<SftpFiles> | undefined;

  constructor(address: SftpAddress) {
    this.location = address.text;
    this.#address = address;
    this.#root = address.path.replace(/\/+$/, '');
  }

  async create(options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (await this.exists('config', '', options)) throw alreadyThere(this.location);
    await this.#explained(async (files) => {
      const entries = await files.list(this.#root === '' ? '/' : this.#root, options).catch(noneIfMissing);
      refuseForeign(
        this.location,
        entries.map(({ name }) => name).filter((name) => !isOwnRootName(name)),
      );
      await makeFolders(files, this.#root);
      for (const folder of namedTypes) await makeFolder(files, `${this.#root}/${folder}`);
      await inTurns(shardNames(), (shard) => makeFolder(files, `${this.#root}/data/${shard}`));
    });
  }

  async save(type: FileType, name: string, content: Uint8Array, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    if (type === 'config') return await this.#saveConfig(path, { content, options });
    await this.#explained(async (files) => {
      try {
        await writeFile(files, path, { content, options });
      } catch (error) {
        if (!isMissing(error)) throw await this.#explainWrite(files, content, error);
        // A copied repository may lack its empty folders. A repository that is missing entirely is not
        // created anew.
        if ((await files.stat(`${this.#root}/config`)) === undefined) throw error;
        await makeFolders(files, path.slice(0, path.lastIndexOf('/')));
        await writeFile(files, path, { content, options });
      }
    });
  }

  /** When two processes save the configuration at once, one of them fails. */
  async #saveConfig(path: string, { content, options }: WriteParts): Promise<void> {
    await this.#explained(async (files) => {
      try {
        await writeFile(files, path, { content, options, isNew: true });
      } catch (error) {
        if ((await files.stat(path)) === undefined) throw await this.#explainWrite(files, content, error);
        if (!(await this.load('config', '', undefined, options)).equals(content))
          throw anotherThere(this.location, 'config');
      }
    });
  }

  async load(type: FileType, name: string, range?: ByteRange, options: LoadOptions = {}): Promise<Buffer> {
    throwIfAborted(options.signal);
    const label = fileLabel(type, name);
    const path = this.#path(type, name);
    return await this.#explained(async (files) => {
      const handle = await files.openToRead(path);
      try {
        const { offset, length } = range ?? { offset: 0, length: await files.sizeOf(handle) };
        const buffer = options.room?.take(length) ?? Buffer.allocUnsafe(length);
        const { signal, pace } = options;
        const read = await files.read(handle, buffer, { offset, signal, pace });
        if (read < length) throw tooShort(this.location, label);
        return buffer;
      } finally {
        files.closeSoon(handle);
      }
    }, label);
  }

  async list(type: FileType, options: StoreOptions = {}): Promise<StoredFile[]> {
    throwIfAborted(options.signal);
    if (type === 'config')
      return (await this.exists('config', '', options)) ? [{ name: '', sizeBytes: 0 }] : [];
    return await this.#explained(async (files) => {
      const folder = `${this.#root}/${type}`;
      const entries = await this.#listFolder(files, folder, options);
      if (type !== 'data') return toFiles(entries);
      const shards = entries.map(({ name }) => name).filter(isShardName);
      const found: StoredFile[] = [];
      await inTurns(shards, async (shard) => {
        throwIfAborted(options.signal);
        const inside = await this.#listFolder(files, `${folder}/${shard}`, options);
        for (const file of toFiles(inside)) found.push(file);
      });
      return found;
    });
  }

  async exists(type: FileType, name: string, options: StoreOptions = {}): Promise<boolean> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    return await this.#explained(async (files) => (await files.stat(path)) !== undefined);
  }

  async times(type: FileType, name: string, options: StoreOptions = {}): Promise<StoreTimes> {
    throwIfAborted(options.signal);
    const label = fileLabel(type, name);
    return await this.#explained(async (files) => {
      const found = await files.stat(this.#path(type, name));
      if (found === undefined) throw missingFile(this.location, label);
      const probe = `${this.#root}/locks/tmp-${process.pid}-${randomBytes(8).toString('hex')}`;
      const handle = await files.openToWrite(probe).catch((error: unknown) => {
        throw error instanceof SftpStatus ? takesNoFile(this.location, error) : error;
      });
      try {
        await files.close(handle);
        const nowMs = (await files.stat(probe))?.modifiedMs;
        if (nowMs !== undefined) return { nowMs, writtenMs: found.modifiedMs };
      } finally {
        // An old probe is removed as a leftover.
        await files.remove(probe).catch(() => undefined);
      }
      throw new AppError('unsupported', `Repository "${this.location}" does not tell the time`);
    }, label);
  }

  async remove(type: FileType, name: string, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    await this.#explained(async (files) => {
      await files.remove(path).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    });
  }

  /** Looking through all folders takes long, so each call covers a sixteenth of the data folders. */
  async removeLeftovers(options: StoreOptions = {}): Promise<void> {
    const digit = randomInt(16).toString(16);
    const shards = shardNames().filter((shard) => shard.startsWith(digit));
    const folders = [...namedTypes, ...shards.map((shard) => `data/${shard}`)];
    // Leftovers cost only space; the next backup tries again.
    await this.#explained((files) =>
      inTurns(folders, (folder) => removeLeftoversIn(files, `${this.#root}/${folder}`, options)),
    ).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    // A failure to open was already reported.
    const files = await opening?.catch(() => undefined);
    await files?.session[Symbol.asyncDispose]();
  }

  /** A missing folder of an existing repository is empty: copies may leave out empty folders. */
  async #listFolder(files: SftpFiles, folder: string, options: StoreOptions): Promise<SftpEntry[]> {
    try {
      return await files.list(folder, options);
    } catch (error) {
      if (!isMissing(error) || (await files.stat(`${this.#root}/config`)) === undefined) throw error;
      return [];
    }
  }

  /** The open connection, or a new one when it has broken. */
  async #files(): Promise<SftpFiles> {
    const current = this.#opening;
    // A failure to open was reported to the call that opened.
    const files = await current?.catch(() => undefined);
    if (files && !files.session.isBroken) return files;
    // The first call that finds it broken opens the next.
    if (this.#opening === current) this.#opening = undefined;
    await files?.session[Symbol.asyncDispose]();
    return await (this.#opening ??= this.#connect());
  }

  async #connect(): Promise<SftpFiles> {
    return await SftpFiles.over(await SftpSession.open(this.#address));
  }

  async #explained<T>(work: (files: SftpFiles) => Promise<T>, label?: string): Promise<T> {
    try {
      return await work(await this.#files());
    } catch (error) {
      if (!(error instanceof SftpStatus)) throw error;
      throw this.#explainStatus(error, label);
    }
  }

  #explainStatus(error: SftpStatus, label: string | undefined): AppError {
    const cause = new ServerFault(error.message);
    switch (error.code) {
      case status.noSuchFile:
        return label === undefined
          ? noRepository(this.location, cause)
          : missingFile(this.location, label, cause);
      case status.permissionDenied:
        return new AppError('denied', `Cannot use repository "${this.location}": permission denied`, {
          hint: 'Log in as the user who owns it.',
          cause,
        });
      default: {
        const words = error.message === '' ? `status ${error.code}` : error.message;
        return new AppError('unavailable', `The server of repository "${this.location}" refuses: ${words}`, {
          cause,
        });
      }
    }
  }

  /** SFTP has one error code for every failure, a full disk included. */
  async #explainWrite(files: SftpFiles, content: Uint8Array, error: unknown): Promise<unknown> {
    if (!(error instanceof SftpStatus) || error.code !== status.failure) return error;
    // Many servers do not tell.
    const free = await files.freeBytes(this.#root === '' ? '/' : this.#root).catch(() => undefined);
    return free !== undefined && free < content.length + spareBytes ? fullStore(this.location, error) : error;
  }

  #path(type: FileType, name: string): string {
    return `${this.#root}/${filePath(type, name)}`;
  }
}

/** SFTP has no code for a full or read-only disk, and trying again does not help. */
function takesNoFile(location: string, cause: SftpStatus): AppError {
  return new AppError(
    'denied',
    `The server of repository "${location}" takes no new file: ${cause.message}`,
    {
      cause,
    },
  );
}

/** A disk reports that it is full before its last byte is used. */
const spareBytes = 1024 * 1024;

interface WriteParts {
  readonly content: Uint8Array;
  readonly options: StoreOptions;
  /** Fails when a file of that name exists. */
  readonly isNew?: boolean;
}

async function writeFile(
  files: SftpFiles,
  path: string,
  { content, options, isNew = false }: WriteParts,
): Promise<void> {
  const folder = path.slice(0, path.lastIndexOf('/'));
  // Named as the local store names them, which removes its temporary files when their process has died.
  const temporary = `${folder}/tmp-${process.pid}-${randomBytes(8).toString('hex')}`;
  const handle = await files.openToWrite(temporary);
  try {
    await files.write(handle, content, options);
    await files.sync(handle);
    await files.close(handle);
    if (isNew) await files.rename(temporary, path);
    else if (!(await files.replace(temporary, path))) await renameOnto(files, temporary, { path, content });
  } catch (error) {
    files.closeSoon(handle);
    // The user must see the error above; leftovers are removed later.
    await files.remove(temporary).catch(() => undefined);
    throw error;
  }
}

/** Files never change, so an existing file of that name and size is the same file. */
async function renameOnto(
  files: SftpFiles,
  temporary: string,
  { path, content }: { readonly path: string; readonly content: Uint8Array },
): Promise<void> {
  try {
    await files.rename(temporary, path);
  } catch (error) {
    if ((await files.stat(path))?.sizeBytes !== content.length) throw error;
    await files.remove(temporary);
  }
}

const leftoverPattern = /^tmp-\d+-[0-9a-f]{16}$/;
/** No program takes this long to write a file, even if the clocks of the two machines differ. */
const leftoverAgeMs = 24 * 60 * 60_000;

async function removeLeftoversIn(files: SftpFiles, folder: string, options: StoreOptions): Promise<void> {
  for (const { name, attributes } of await files.list(folder, options).catch(noneIfMissing)) {
    const { modifiedMs = Date.now() } = attributes;
    if (leftoverPattern.test(name) && Date.now() - modifiedMs > leftoverAgeMs)
      // Leftovers cost only space.
      await files.remove(`${folder}/${name}`).catch(() => undefined);
  }
}

async function makeFolders(files: SftpFiles, path: string): Promise<void> {
  if (path === '' || path === '.' || (await files.stat(path)) !== undefined) return;
  const slash = path.lastIndexOf('/');
  if (slash > 0) await makeFolders(files, path.slice(0, slash));
  await makeFolder(files, path);
}

async function makeFolder(files: SftpFiles, path: string): Promise<void> {
  try {
    await files.makeDirectory(path);
  } catch (error) {
    // SFTP has no code for "already exists".
    if ((await files.stat(path)) === undefined) throw error;
  }
}

function toFiles(entries: readonly SftpEntry[]): StoredFile[] {
  return entries
    .filter(({ name }) => isFileName(name))
    .map(({ name, attributes: { sizeBytes = 0, modifiedMs } }) => ({ name, sizeBytes, modifiedMs }));
}

function noneIfMissing(error: unknown): SftpEntry[] {
  if (!isMissing(error)) throw error;
  return [];
}

function isMissing(error: unknown): boolean {
  return error instanceof SftpStatus && error.code === status.noSuchFile;
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const workOn = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(foldersAtOnce, items.length) }, workOn));
}
