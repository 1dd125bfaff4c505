import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ByteString, fromBytes, toPath, toPrintable } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';

/** Paths may have 4095 bytes; a directory deeper than this is moved up before it is emptied. */
const deepBytes = 3000;
const entriesPerTurn = 500;

/**
 * Removes a directory with all that is in it, or any other thing, whatever bytes the names have and however deep. Never
 * follows a symbolic link, and stops at another file system. What is gone already is fine. Lets other work go on.
 */
export async function removeTree(root: ByteString): Promise<void> {
  const stat = lstatSync(toPath(root), { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) return orGone(() => unlinkSync(toPath(root)));
  const work: Removal = { root, device: stat.dev, movedUp: [], left: entriesPerTurn };
  await emptyDirectory(root, work);
  for (let moved = work.movedUp.pop(); moved !== undefined; moved = work.movedUp.pop())
    await removeDirectory(moved, work);
  orGone(() => rmdirSync(toPath(root)));
}

interface Removal {
  readonly root: ByteString;
  readonly device: number;
  readonly movedUp: ByteString[];
  left: number;
}

async function removeDirectory(path: ByteString, work: Removal): Promise<void> {
  await emptyDirectory(path, work);
  orGone(() => rmdirSync(toPath(path)));
}

async function emptyDirectory(path: ByteString, work: Removal): Promise<void> {
  for (const child of childrenOf(path)) {
    if (--work.left <= 0) {
      work.left = entriesPerTurn;
      await nextTurn();
    }
    const childPath = `${path}/${fromBytes(child.name)}`;
    if (child.isDirectory()) await removeChildDirectory(childPath, work);
    else orGone(() => unlinkSync(toPath(childPath)));
  }
}

async function removeChildDirectory(path: ByteString, work: Removal): Promise<void> {
  const stat = lstatSync(toPath(path), { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.dev !== work.device) {
    throw new AppError(
      'in-use',
      `Cannot delete "${toPrintable(path)}": another file system is mounted there`,
    );
  }
  if (path.length < deepBytes) return await removeDirectory(path, work);
  const moved = `${work.root}/deep-${randomBytes(8).toString('hex')}`;
  renameSync(toPath(path), toPath(moved));
  work.movedUp.push(moved);
}

function childrenOf(path: ByteString): { name: Buffer; isDirectory(): boolean }[] {
  const list = (): { name: Buffer; isDirectory(): boolean }[] =>
    readdirSync(toPath(path), { withFileTypes: true, encoding: 'buffer' });
  try {
    return list();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return [];
    if (errno !== 'EACCES') throw error;
    // A folder whose owner has locked himself out: a restored tree may have such.
    chmodSync(toPath(path), 0o700);
    return list();
  }
}

function orGone(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
