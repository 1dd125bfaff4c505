import { randomBytes } from 'node:crypto';
import { lstat, opendir, rename, rmdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';

export interface RemoveTreeOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Paths may have 4095 bytes; a directory deeper than this is moved up beside the tree before it is emptied. */
const deepBytes = 3000;

/**
 * Deletes a directory and all that is in it, whatever the names and however deep. Symbolic links are deleted and not
 * followed, and nothing on another file system is touched. May be cancelled and repeated.
 */
export async function removeTree(root: string, options: RemoveTreeOptions = {}): Promise<void> {
  const top = Buffer.from(root);
  const stat = await orMissing(lstat(top));
  if (stat === undefined) return;
  const pending = [top];
  const work: TreeWork = {
    device: stat.dev,
    signal: options.signal,
    beside: Buffer.from(dirname(root)),
    pending,
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) await removeDirectory(next, work);
}

interface TreeWork {
  readonly device: number;
  readonly signal: AbortSignal | undefined;
  /** Where deep directories are moved to. */
  readonly beside: Buffer;
  readonly pending: Buffer[];
}

async function removeDirectory(path: Buffer, work: TreeWork): Promise<void> {
  if (work.signal?.aborted === true)
    throw new AppError('cancelled', 'Deleting was cancelled; the rest is deleted at the next start');
  const directory = await orMissing(opendir(path, { encoding: 'buffer' as BufferEncoding }));
  if (directory === undefined) return;
  // Gone through when this directory is closed: a deep tree must not hold a descriptor for each level.
  const folders: Buffer[] = [];
  for await (const entry of directory) {
    // The types do not know that names are bytes with this encoding.
    const child = joinBytes(path, entry.name as unknown as Buffer);
    if (entry.isDirectory()) folders.push(child);
    else await orMissing(unlink(child));
  }
  for (const folder of folders) await removeChild(folder, work);
  await orMissing(rmdir(path));
}

async function removeChild(child: Buffer, work: TreeWork): Promise<void> {
  const stat = await orMissing(lstat(child));
  if (stat === undefined) return;
  if (stat.dev !== work.device) {
    throw new AppError('in-use', `Cannot delete "${child.toString()}": another file system is mounted there`);
  }
  if (child.length < deepBytes) return await removeDirectory(child, work);
  // No volume can have this name, so nothing takes it for one.
  const moved = joinBytes(work.beside, Buffer.from(`-deep.${randomBytes(8).toString('hex')}.removing`));
  await rename(child, moved);
  work.pending.push(moved);
}

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    // Somebody else deletes the same tree.
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function joinBytes(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), name]);
}
