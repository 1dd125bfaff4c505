import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { mountsWithin, readMounts } from '../lib/mountinfo.ts';
import { type ByteString, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { type HeldRoot, holdRoot } from './held-member.ts';
import { newStageName } from '../lib/stage-names.ts';
import { parentOf } from '../lib/on-disk.ts';

export interface StagePlace {
  /** A folder that does not exist yet, on the file system of the directory. */
  readonly stage: ByteString;
  readonly place: 'beside' | 'inside';
}

/**
 * Where what shall take a directory's place is made ready; the directory may be absent. Beside it where possible, so
 * that no container sees it; inside it where it is a mount point or its parent can't be written to.
 */
export async function chooseStage(root: ByteString, held: HeldRoot, part?: ByteString): Promise<StagePlace> {
  await refuseMountsBelow(root, held, part);
  const place = await choosePlace(held);
  const folder = place === 'inside' ? root : parentOf(root);
  return { stage: `${folder === '/' ? '' : folder}/${newStageName()}`, place };
}

/** True where what is replaced can be kept: beside, on the same file system, where no container sees it. */
export async function canKeepBeside(root: ByteString): Promise<boolean> {
  using held = holdRoot(root);
  return (await choosePlace(held)) === 'beside';
}

async function choosePlace({ above, live, realPath }: HeldRoot): Promise<'beside' | 'inside'> {
  if (above === undefined) return 'inside';
  if (live === undefined) return 'beside';
  if (live.stat().dev !== above.stat().dev) return 'inside';
  if ((await readMounts()).some((mount) => mount.path === realPath)) return 'inside';
  return await access(toPath(above.at('.')), constants.W_OK).then(
    () => 'beside' as const,
    () => 'inside' as const,
  );
}

/**
 * A mount below the directory would move along with the old data, and be deleted with it. Where only a part of it is replaced,
 * what is mounted elsewhere in it stays where it is.
 */
export async function refuseMountsBelow(
  root: ByteString,
  { realPath }: Pick<HeldRoot, 'realPath'>,
  part?: ByteString,
): Promise<void> {
  if (realPath === undefined) return;
  const moved = part === undefined ? realPath : `${realPath === '/' ? '' : realPath}/${part}`;
  const below = mountsWithin(await readMounts(), moved).find(
    (mount) => part !== undefined || mount.path !== realPath,
  );
  if (below === undefined) return;
  throw new AppError(
    'in-use',
    `Cannot replace "${toPrintable(root)}": something is mounted in it, at "${toPrintable(below.path)}"`,
    {
      hint: `Unmount it first: umount "${toPrintable(below.path)}".`,
    },
  );
}
