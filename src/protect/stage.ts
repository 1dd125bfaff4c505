import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { mountsWithin, readMounts } from '../lib/mountinfo.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { newStageName } from './stage-path.ts';
import { parentOf } from './on-disk.ts';

export { isStagePath } from './stage-path.ts';

export interface StagePlace {
  /** A folder that does not exist yet, on the file system of the directory. */
  readonly stage: ByteString;
  readonly place: 'beside' | 'inside';
}

/**
 * Where what shall take a directory's place is made ready; the directory may be absent. Beside it where possible, so
 * that no container sees it; inside it where it is a mount point or its parent can't be written to.
 */
export async function chooseStage(root: ByteString): Promise<StagePlace> {
  await refuseMountsBelow(root);
  const place = await choosePlace(root);
  const folder = place === 'inside' ? root : parentOf(root);
  return { stage: `${folder === '/' ? '' : folder}/${newStageName()}`, place };
}

/** True where what is replaced can be kept: beside, on the same file system, where no container sees it. */
export async function canKeepBeside(root: ByteString): Promise<boolean> {
  return (await choosePlace(root)) === 'beside';
}

async function choosePlace(root: ByteString): Promise<'beside' | 'inside'> {
  const parent = parentOf(root);
  const [own, above] = await Promise.all([statOf(root), lstat(toPath(parent))]);
  if (own === undefined) return 'beside';
  if (!own.isDirectory()) throw new AppError('conflict', `"${toPrintable(root)}" is no directory`);
  if (own.dev !== above.dev) return 'inside';
  if ((await readMounts()).some((mount) => mount.path === root)) return 'inside';
  return await access(toPath(parent), constants.W_OK).then(
    () => 'beside' as const,
    () => 'inside' as const,
  );
}

/** A mount below the directory would move along with the old data, and be deleted with it. */
export async function refuseMountsBelow(root: ByteString): Promise<void> {
  const below = mountsWithin(await readMounts(), root).find((mount) => mount.path !== root);
  if (below === undefined) return;
  throw new AppError(
    'in-use',
    `Cannot replace "${toPrintable(root)}": something is mounted in it, at "${toPrintable(below.path)}"`,
    {
      hint: `Unmount it first: umount "${toPrintable(below.path)}".`,
    },
  );
}

async function statOf(path: ByteString): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(toPath(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
