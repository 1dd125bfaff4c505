import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsync, openSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../model/errors.ts';

interface DurableFileOptions {
  /** Default 0o600. */
  readonly mode?: number;
  /** Where the temporary file is made; the folder of the file unless it is given. Must be on the same file system. */
  readonly temporaryDir?: string;
  /** False for a file that need not outlive the machine's running: whole or not there, but not waited for. */
  readonly sync?: boolean;
  /** Throws `EEXIST` when there is a file of that name, and replaces none. */
  readonly isNew?: boolean;
}

/**
 * Writes a whole file so that it is there completely and durably when this returns, and not at all (or as it was
 * before) when it throws or the process is killed: temporary file, fsync, rename, fsync of the folder.
 */
export async function writeDurably(
  path: string,
  content: Uint8Array | string,
  options: DurableFileOptions = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryIn(options.temporaryDir ?? folder);
  try {
    await writeNew(temporary, content, options);
    if (options.isNew === true) await renameToNew(temporary, path);
    else await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (options.sync !== false) await syncDirectory(folder);
}

async function renameToNew(temporary: string, path: string): Promise<void> {
  try {
    // Of two at the same moment one fails, which a look before a rename does not promise.
    await link(temporary, path);
    await rm(temporary, { force: true });
  } catch (error) {
    // File systems without hard links, such as exFAT.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error;
    if (existsSync(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });
    await rename(temporary, path);
  }
}

/** What a kill leaves behind is known by this name, and by the process that it says. */
export function temporaryIn(folder: string): string {
  return `${folder}/tmp-${process.pid}-${randomBytes(8).toString('hex')}`;
}

async function writeNew(
  path: string,
  content: Uint8Array | string,
  { mode = 0o600, sync = true }: DurableFileOptions,
): Promise<void> {
  await using file = await open(path, 'wx', mode);
  await file.writeFile(content);
  if (sync) await file.sync();
}

/** Makes the names in a folder durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using folder: FileHandle = await open(path, 'r');
  await folder.sync();
}

/** Makes a directory and those above it; when it returns, a power cut does not take them away again. */
export async function makeDurably(directory: string): Promise<void> {
  const first = await makeFolders(directory, { mode: 0o700 });
  if (first === undefined) return;
  const above = dirname(first);
  for (let made = directory; made !== above && made !== dirname(made); made = dirname(made))
    await syncDirectory(dirname(made));
}

const sync = promisify(fsync);

/**
 * Makes what was done in several folders, or with several files, durable: all at once, because a file system with a
 * journal writes it down once for all who wait for it together.
 */
export async function syncAll(paths: readonly string[]): Promise<void> {
  using opened = new DisposableStack();
  const fds = paths.map((path) => opened.adopt(openSync(path, 'r'), closeSync));
  await settled(fds);
}

/** No descriptor is closed while it is waited for. */
async function settled(fds: readonly number[]): Promise<void> {
  const ends = await Promise.allSettled(fds.map((fd) => sync(fd)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/**
 * Makes a folder and those above it that are missing; gives back the first that was made. Node's own recursive one goes
 * on for ever where a folder is there and what is made in it is said not to be (`/proc`, an automounter's folder).
 */
export async function makeFolders(
  folder: string,
  options: { readonly mode: number },
): Promise<string | undefined> {
  try {
    return await makeOne(folder, options);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
  }
  const first = await makeFolders(dirname(folder), options);
  const made = await makeOne(folder, options);
  return first ?? made;
}

async function makeOne(folder: string, options: { readonly mode: number }): Promise<string | undefined> {
  try {
    await mkdir(folder, options);
    return folder;
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() !== true) throw error;
    return undefined;
  }
}
