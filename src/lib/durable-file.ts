import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsync, openSync, type Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../model/errors.ts';

interface DurableFileOptions {
  /** Default 0o600. */
  readonly mode?: number;
  /** Instead of `mode`: a file whose mode it gets, whatever the umask, and as root its owner, before it has its name. */
  readonly like?: Pick<Stats, 'mode' | 'uid' | 'gid'> | undefined;
  /** Gives the open file what else it is to have, before it gets that mode and its name. */
  readonly prepare?: ((fd: number) => void) | undefined;
  /** The folder of the temporary file; by default that of the file. Must be on the same file system. */
  readonly temporaryDir?: string;
  /** False for a file that need not survive a power cut: complete or absent, but not synced. */
  readonly sync?: boolean;
  /** Throws `EEXIST` when a file of that name exists, and replaces none. */
  readonly isNew?: boolean;
}

/**
 * Writes a whole file: complete and durable on return, and absent (or unchanged) when it throws or the
 * process is killed. Temporary file, fsync, rename, fsync of the folder.
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
    // Of two concurrent writers one fails, which checking before a rename would not ensure.
    await link(temporary, path);
    await rm(temporary, { force: true });
  } catch (error) {
    // File systems without hard links, such as exFAT.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error;
    if (existsSync(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });
    await rename(temporary, path);
  }
}

/** A leftover of a kill is recognized by this name, and by the process in it. */
export function temporaryIn(folder: string): string {
  return `${folder}/tmp-${process.pid}-${randomBytes(8).toString('hex')}`;
}

async function writeNew(
  path: string,
  content: Uint8Array | string,
  { mode = 0o600, like, prepare, sync = true }: DurableFileOptions,
): Promise<void> {
  await using file = await open(path, 'wx', like === undefined ? mode : 0o600);
  await file.writeFile(content);
  if (like !== undefined) {
    if (process.geteuid?.() === 0) await file.chown(like.uid, like.gid);
    prepare?.(file.fd);
    await file.chmod(like.mode & 0o7777);
  }
  if (sync) await file.sync();
}

/** Makes the names in a folder durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using folder: FileHandle = await open(path, 'r');
  await folder.sync();
}

/** Creates a directory and its parents; on return they survive a power cut. */
export async function makeDurably(directory: string): Promise<void> {
  const first = await makeFolders(directory, { mode: 0o700 });
  if (first === undefined) return;
  const above = dirname(first);
  for (let made = directory; made !== above && made !== dirname(made); made = dirname(made))
    await syncDirectory(dirname(made));
}

const sync = promisify(fsync);

/**
 * Makes the changes in several folders or files durable, all at once: a journaling file system writes them
 * together for all that wait.
 */
export async function syncAll(paths: readonly string[]): Promise<void> {
  using opened = new DisposableStack();
  const fds = paths.map((path) => opened.adopt(openSync(path, 'r'), closeSync));
  await settled(fds);
}

/** No descriptor may be closed while a sync of it is pending. */
async function settled(fds: readonly number[]): Promise<void> {
  const ends = await Promise.allSettled(fds.map((fd) => sync(fd)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/**
 * Creates a folder and its missing parents; returns the first that was created. Node's own recursive version
 * loops for ever where a folder exists and creating an entry in it fails with ENOENT (`/proc`, an
 * automounter's folder).
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
