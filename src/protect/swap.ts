import { constants } from 'node:fs';
import { chmod, lchown, lstat, mkdir, open, rename } from 'node:fs/promises';
import { exchange } from '../lib/exchange.ts';
import { listXattrs, removeXattr, setTimes, setXattr, syncFilesystem } from '../lib/posix.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { type RestoreJournal, writeJournal } from './restore-journal.ts';

interface Swap {
  readonly stateDir: string;
  readonly journal: RestoreJournal;
}

/** Swaps `stage/new` with the root. In one step where the file system can; then the old data is at `stage/new`. */
export async function swapBeside({ journal }: Swap): Promise<void> {
  const { root, stage } = journal;
  const fresh = `${stage}/new`;
  await syncAll(stage);
  const { mtimeNs } = await lstat(toPath(fresh), { bigint: true });
  if (!(await exists(root))) await rename(toPath(fresh), toPath(root));
  else if (!exchanged(fresh, root)) await swapInTwoSteps(journal);
  // XFS counts a move to another folder as a change of the directory itself.
  setTimes(root, mtimeNs);
  await syncFolder(parentOf(root));
}

function exchanged(fresh: ByteString, root: ByteString): boolean {
  try {
    exchange(fresh, root);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EINVAL' || errno === 'ENOSYS' || errno === 'EOPNOTSUPP') return false;
    throw error;
  }
}

async function swapInTwoSteps({ root, stage }: RestoreJournal): Promise<void> {
  await rename(toPath(root), toPath(`${stage}/old`));
  try {
    await rename(toPath(`${stage}/new`), toPath(root));
  } catch (error) {
    await rename(toPath(`${stage}/old`), toPath(root));
    throw error;
  }
}

/** After a kill between the two steps the root is missing: the old data goes back. True when that was so. */
export async function undoSwap({ root, stage }: RestoreJournal): Promise<boolean> {
  if ((await exists(root)) || !(await exists(`${stage}/old`))) return false;
  await rename(toPath(`${stage}/old`), toPath(root));
  await syncFolder(parentOf(root));
  return true;
}

interface SwapInside extends Swap {
  readonly oldNames: readonly ByteString[];
  readonly newNames: readonly ByteString[];
}

/** Swaps what is in the root, name by name: what a mount point needs. The journal says what is to happen before it does. */
export async function swapInside({ stateDir, journal, oldNames, newNames }: SwapInside): Promise<void> {
  const { root, stage } = journal;
  await mkdir(toPath(`${stage}/old`), { mode: 0o700 });
  await syncAll(stage);
  const swapping: RestoreJournal = { ...journal, step: 'swapping', oldNames, newNames };
  await writeJournal(stateDir, swapping);
  try {
    await finishSwap(swapping);
  } catch (error) {
    await takeBack(swapping);
    await writeJournal(stateDir, journal);
    throw new AppError('failed', `Cannot put the restored data in its place; "${root}" is as it was`, {
      detail: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

/** Carries a swap inside to its end from wherever it stopped; may be repeated. */
export async function finishSwap({ root, stage, oldNames, newNames }: RestoreJournal): Promise<void> {
  // It came to its end, and its old data is being deleted: what has an old name in the root is new.
  if (!(await exists(`${stage}/old`))) return;
  for (const name of oldNames) {
    // When it is in `old` already, what has its name in the root is new.
    if (await exists(`${stage}/old/${checkedName(name)}`)) continue;
    if (await exists(`${root}/${name}`))
      await rename(toPath(`${root}/${name}`), toPath(`${stage}/old/${name}`));
  }
  for (const name of newNames) {
    if (await exists(`${stage}/new/${checkedName(name)}`))
      await rename(toPath(`${stage}/new/${name}`), toPath(`${root}/${name}`));
  }
  await copyOwnMetadata(`${stage}/new`, root);
  await syncAll(root);
  await rename(toPath(`${stage}/old`), toPath(`${stage}/done`));
  await syncFolder(stage);
}

/** The other way round, after an error. */
async function takeBack({ root, stage, oldNames, newNames }: RestoreJournal): Promise<void> {
  if (await exists(`${stage}/done`)) await rename(toPath(`${stage}/done`), toPath(`${stage}/old`));
  for (const name of newNames) {
    if (await exists(`${stage}/new/${name}`)) continue;
    if (await exists(`${root}/${name}`))
      await rename(toPath(`${root}/${name}`), toPath(`${stage}/new/${name}`));
  }
  for (const name of oldNames) {
    if (await exists(`${stage}/old/${name}`))
      await rename(toPath(`${stage}/old/${name}`), toPath(`${root}/${name}`));
  }
  await syncAll(root);
}

function checkedName(name: ByteString): ByteString {
  if (name !== '' && name !== '.' && name !== '..' && !name.includes('/')) return name;
  throw new AppError('integrity', 'The journal of a restore names something outside of its volume');
}

/** Mode, owner, attributes and times of a directory, without what is in it. */
export async function copyOwnMetadata(from: ByteString, to: ByteString): Promise<void> {
  const stat = await lstat(toPath(from), { bigint: true });
  const wanted = listXattrs(from);
  for (const { name } of listXattrs(to)) {
    if (!wanted.some((attribute) => attribute.name === name) && !name.startsWith('security.'))
      removeXattr(to, name);
  }
  await lchown(toPath(to), Number(stat.uid), Number(stat.gid));
  for (const attribute of wanted) setXattr(to, attribute);
  await chmod(toPath(to), Number(stat.mode) & 0o7777);
  setTimes(to, stat.mtimeNs);
}

async function syncAll(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  syncFilesystem(folder.fd);
}

async function syncFolder(path: ByteString): Promise<void> {
  await using folder = await open(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

/** The folder that a path is in. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export async function exists(path: ByteString): Promise<boolean> {
  try {
    await lstat(toPath(path));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
