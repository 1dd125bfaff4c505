import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, lstat, mkdir, readdir } from 'node:fs/promises';
import { mountsWithin, readMounts } from '../lib/mountinfo.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { type ByteString, fromBytes, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { type RestoreJournal, readJournal, removeJournal, writeJournal } from './restore-journal.ts';
import { finishSwap, parentOf, swapBeside, swapInside, undoSwap } from './swap.ts';

/** A place on the same file system as a directory, in which what shall take its place is made ready. */
export interface Stage extends AsyncDisposable {
  /** Where the new tree goes; does not exist yet. */
  readonly newPath: ByteString;
  /** Puts the new tree in the place of the directory, in one step where the file system can. When it throws, the directory is as it was. */
  swap(): Promise<void>;
}

/** The prefix of the folders in which restores make things ready; never saved, never shown. */
const prefix = '.holdfast-restore-';

/** True for such a folder at the top of a volume, and for what is below. */
export function isStagePath(path: ByteString): boolean {
  return path.startsWith(prefix) && /^\.holdfast-restore-[0-9a-f]{16}(\/|$)/.test(path);
}

/**
 * Opens a stage for a directory, which may be absent. Beside it where possible, so that no container sees it; inside it
 * where the directory is a mount point or its parent can't be written to. Disposed without a swap, nothing has changed.
 */
export async function openStage(stateDir: string, root: ByteString): Promise<Stage> {
  await refuseMountsBelow(root);
  const place = await choosePlace(root);
  const folder = place === 'inside' ? root : parentOf(root);
  const stage = `${folder === '/' ? '' : folder}/${prefix}${randomBytes(8).toString('hex')}`;
  const journal: RestoreJournal = { root, stage, place, step: 'staging', oldNames: [], newNames: [] };
  await writeJournal(stateDir, journal);
  try {
    await mkdir(toPath(stage), { mode: 0o700 });
  } catch (error) {
    await removeJournal(stateDir, root);
    throw error;
  }
  return {
    newPath: `${stage}/new`,
    async swap() {
      await refuseMountsBelow(root);
      if (place === 'beside') return await swapBeside({ stateDir, journal });
      await swapInside({
        stateDir,
        journal,
        oldNames: await topNames(root),
        newNames: await topNames(`${stage}/new`),
      });
    },
    async [Symbol.asyncDispose]() {
      await removeTree(stage);
      await removeJournal(stateDir, root);
    },
  };
}

export interface Settled {
  /** Undefined when there was nothing to settle. */
  readonly outcome: 'undone' | 'finished' | 'cleaned' | undefined;
}

/**
 * Puts right what a restore that was killed has left of a directory: it ends as it was before, or as it was to become,
 * never in between. The lease on the volume is held, and no container uses it.
 */
export async function settleRestore(stateDir: string, root: ByteString): Promise<Settled> {
  const journal = await readJournal(stateDir, root);
  if (journal === undefined) return { outcome: undefined };
  let outcome: Settled['outcome'] = 'cleaned';
  if (journal.place === 'inside' && journal.step === 'swapping') {
    await finishSwap(journal);
    outcome = 'finished';
  } else if (journal.place === 'beside' && (await undoSwap(journal))) outcome = 'undone';
  await removeTree(journal.stage);
  await removeJournal(stateDir, root);
  return { outcome };
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
async function refuseMountsBelow(root: ByteString): Promise<void> {
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

/** What is at the top of a directory, without our own folder and the one that ext4 keeps at its root. */
export async function topNames(root: ByteString): Promise<ByteString[]> {
  const names = (await readdir(toPath(root), { encoding: 'buffer' })).map(fromBytes);
  return names.filter((name) => !isStagePath(name) && name !== 'lost+found').sort();
}

async function statOf(path: ByteString): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(toPath(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
