import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../lib/durable-file.ts';
import { mountsWithin, readMounts } from '../../lib/mountinfo.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { stateError, type VolumeFolders } from './volume-folders.ts';

/** A volume's folder on its way out. */
export interface TrashedFolder {
  readonly path: string;
  readonly volume: string;
}

const removing = /^(.+)\.[0-9a-f]{16}\.removing$/;

/** Takes a volume's folder out of the way in one step. Undefined when there is none. `in-use` when something is mounted in it. */
export async function moveToTrash(
  folders: VolumeFolders,
  volume: string,
): Promise<TrashedFolder | undefined> {
  const from = folders.path(volume);
  const action = `Cannot remove volume "${volume}"`;
  await refuseMounts(from, action);
  const path = join(folders.trashDir, `${volume}.${randomBytes(8).toString('hex')}.removing`);
  try {
    await rename(from, path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'EBUSY') throw mountedError(action, from);
    throw stateError(action, error);
  }
  try {
    // What was mounted since we looked came along, and would be emptied with the rest.
    await refuseMounts(path, action);
  } catch (error) {
    await rename(path, from);
    throw error;
  }
  await syncDirectory(folders.volumesDir);
  await syncDirectory(folders.trashDir);
  return { path, volume };
}

/** Deletes what is in the trash. May be cancelled and repeated. */
export async function discard(folder: TrashedFolder, signal: AbortSignal | undefined): Promise<void> {
  const action = `Cannot delete the data of volume "${folder.volume}"`;
  await refuseMounts(folder.path, action);
  try {
    await removeTree(fromText(folder.path), { signal });
  } catch (error) {
    throw stateError(action, error);
  }
}

/** The folders that a removal left in the trash. */
export async function listRemoving(folders: VolumeFolders): Promise<TrashedFolder[]> {
  const names = await readdir(folders.trashDir);
  return names.flatMap((name) => {
    const volume = removing.exec(name)?.[1];
    return volume === undefined ? [] : [{ path: join(folders.trashDir, name), volume }];
  });
}

async function refuseMounts(folder: string, action: string): Promise<void> {
  const [mount] = mountsWithin(await readMounts(), fromText(folder));
  if (mount !== undefined) throw mountedError(action, mount.path);
}

function mountedError(action: string, path: string): AppError {
  return new AppError('in-use', `${action}: something is mounted at "${path}"`, {
    hint: `Unmount it first: umount "${path}".`,
  });
}
