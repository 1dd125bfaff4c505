import { constants, rmSync } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { isProcessAlive } from './process-identity.ts';

const flock = koffi.load(null).func('int flock(int fd, int operation)');

const shared = 1;
const exclusive = 2;
const withoutWaiting = 4;
const triesAtMost = 10;
/** A shared holder briefly requests the exclusive lock when it ends, so a refusal is retried. */
const patience = { tries: 3, eachMs: 5 };
const ownersBytesAtMost = 4096;
const ended = '-';

/** A hold on a file. The kernel releases it when the process ends, however it ends. */
export interface FileLock extends AsyncDisposable {
  readonly path: string;
}

export interface FileLockOptions {
  /** Written into the file, for processes that find it locked. */
  readonly owner: string;
  /** Removes the file on release. Otherwise it stays. */
  readonly isRemoved?: boolean | undefined;
  /**
   * Shares the lock with other shared holders, and excludes the rest. Each holder adds its line to the file.
   */
  readonly isShared?: boolean | undefined;
}

/**
 * Takes the lock, or returns what its holder wrote into the file. Never waits. The folder must exist. A
 * symbolic link is not followed, and only a regular file with a single name is locked or written: otherwise
 * `denied`.
 */
export async function tryLockFile(
  path: string,
  options: FileLockOptions,
): Promise<FileLock | { readonly heldBy: string }> {
  let refusals = 0;
  for (let tries = 0; tries < triesAtMost; tries++) {
    const taken = await tryOnce(path, options);
    if (taken === 'moved') continue;
    if (!('heldBy' in taken) || options.isShared !== true || ++refusals === patience.tries) return taken;
    await sleep(patience.eachMs);
  }
  throw isAnother(path);
}

function isAnother(path: string): AppError {
  return new AppError('failed', `Cannot lock ${quote(path)}: it is another file each time`);
}

async function tryOnce(
  path: string,
  options: FileLockOptions,
): Promise<FileLock | { readonly heldBy: string } | 'moved'> {
  const file = await openPlain(path);
  try {
    if (tryFlock(file, path, options)) {
      if (await isStillThere(file, path)) {
        await writeOwner(file, options);
        return asLock(file, path, options);
      }
      await file.close();
      return 'moved';
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ownersBytesAtMost), 0, ownersBytesAtMost, 0);
    await file.close();
    return { heldBy: buffer.toString('utf8', 0, bytesRead) };
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
}

async function openPlain(path: string): Promise<FileHandle> {
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600).catch(
    (error: unknown) => {
      throw errnoOf(error) === 'ELOOP' ? notPlain(path) : error;
    },
  );
  const found = await file.stat();
  if (found.isFile() && found.nlink <= 1) return file;
  await file.close();
  throw notPlain(path);
}

function notPlain(path: string): AppError {
  return new AppError('denied', `Cannot lock ${quote(path)}: it is a link, or no plain file`, {
    hint: 'Remove it, when you know how it came there.',
  });
}

/** The last holder may have removed the file between our opening and our lock. */
async function isStillThere(file: FileHandle, path: string): Promise<boolean> {
  const [held, named] = await Promise.all([file.stat(), lstat(path).catch(() => undefined)]);
  return held.ino === named?.ino && held.dev === named.dev;
}

/** The last owner named in a lock file that has not ended; one whose process is alive goes first. */
export function ownerIn<T extends { readonly pid: number }>(
  heldBy: string,
  read: (line: string) => T | undefined,
): T | undefined {
  const lines: string[] = [];
  for (const line of heldBy.split('\n')) {
    const began = line.startsWith(ended) ? lines.lastIndexOf(line.slice(ended.length)) : -1;
    if (began >= 0) lines.splice(began, 1);
    else lines.push(line);
  }
  const owners = lines.flatMap((line) => read(line) ?? []);
  return owners.findLast(({ pid }) => isProcessAlive(pid)) ?? owners.at(-1);
}

/** The same for an existing file or folder, without writing anything: its holder has no name. */
export async function tryLockUnwritten(
  path: string,
  options: Pick<FileLockOptions, 'isShared'> = {},
): Promise<FileLock | { readonly heldBy: string }> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  for (let tries = 0; tries < triesAtMost; tries++) {
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const isTaken = tryFlock(file, path, options);
      if (isTaken && (await isStillThere(file, path)))
        return { path, [Symbol.asyncDispose]: () => file.close() };
      await file.close();
      if (!isTaken) return { heldBy: '' };
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  }
  throw isAnother(path);
}

/** False when another process holds it. */
function tryFlock(
  file: FileHandle,
  path: string,
  { isShared = false }: Pick<FileLockOptions, 'isShared'> = {},
): boolean {
  if (flock(file.fd, (isShared ? shared : exclusive) | withoutWaiting) === 0) return true;
  const errno = koffi.errno();
  const isHeld = ['EWOULDBLOCK', 'EAGAIN', 'EINTR'].some((name) => errno === koffi.os.errno[name]);
  if (!isHeld) throw new AppError('failed', `Cannot lock "${path}": error ${errno}`);
  return false;
}

/**
 * The owner is information for processes that find the file locked: a full disk, on which recovery must work,
 * does not prevent locking.
 */
async function writeOwner(file: FileHandle, { owner, isShared }: FileLockOptions): Promise<void> {
  try {
    if (isShared === true) {
      const { size } = await file.stat();
      // One that was killed while it held all of the lock has left its name without an end.
      const begin = size === 0 ? '' : '\n';
      if (size < ownersBytesAtMost / 2) await file.write(`${begin}${owner}\n`);
      return;
    }
    await file.truncate(0);
    await file.write(owner);
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** At once: one that shares the lock is refused by the file, until it is gone, and tries only for a moment. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It stays, as one that was killed leaves it.
  }
}

/** A file that goes does so while it is locked: the next holder finds that it has another than the one in the folder. */
function asLock(file: FileHandle, path: string, options: FileLockOptions): FileLock {
  const { owner, isRemoved, isShared } = options;
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (isShared === true && !tryFlock(file, path)) {
        // Others still share it. On a full disk the name of an ended holder stays in the file, which is
        // harmless.
        await writeOwner(file, { ...options, owner: `${ended}${owner}` }).catch(() => undefined);
        return await file.close();
      }
      if (isRemoved === true) remove(path);
      // A name that stays is that of an ended process.
      else await file.truncate(0).catch(() => {});
      await file.close();
    },
  };
}
