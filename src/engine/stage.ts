import { randomBytes } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { applyMetadata } from '../lib/apply-metadata.ts';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { tryLockDirectory } from '../lib/directory-lock.ts';
import { removeDirectoryAt } from '../lib/posix-at.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { removeTreeIn } from '../lib/remove-tree.ts';
import { type ProblemReporter, reasonText } from '../lib/tree-problem.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { WorkLog } from './work-log.ts';

const stagePrefix = '.holdfast-stage-';
const readyPrefix = '.holdfast-ready-';
const leftName = /^\.holdfast-(stage|ready)-[0-9a-f]{16}$/;

/** True for what a killed import or clone leaves that was not whole: nobody wants to read it. */
export function isUnfinishedStage(path: ByteString): boolean {
  return path.startsWith(stagePrefix) && leftName.test(path);
}

function isLeft(name: ByteString): boolean {
  return leftName.test(name);
}

/** Nobody else fills or copies into the volume meanwhile; `locked` when somebody does. */
export function lockVolume(
  root: ByteString,
  { action, name }: { readonly action: string; readonly name: string },
): Disposable {
  const lock = tryLockDirectory(root);
  if (lock !== undefined) return lock;
  throw new AppError('locked', `Cannot ${action} ${quote(name)}: another Holdfast process is writing to it`, {
    hint: 'Wait until it is done, or end that process.',
  });
}

/** True when a volume holds nothing but what file systems and interrupted work leave in it. The caller holds the lock. */
export async function isEmptyVolume(root: ByteString): Promise<boolean> {
  using handle = DirectoryHandle.open(root);
  for (const name of namesIn(handle)) if (isLeft(name)) await settle(handle, name);
  return namesIn(handle).every((name) => name === 'lost+found');
}

/**
 * What was whole when it was killed is moved to its end; what was not goes. A container that sees the volume may have
 * made the name itself: a symbolic link there leads nowhere.
 */
async function settle(root: DirectoryHandle, name: ByteString): Promise<void> {
  if (name.startsWith(readyPrefix)) moveAllUp(root, name);
  await removeTreeIn(root, name);
}

function moveAllUp(root: DirectoryHandle, name: ByteString): void {
  try {
    using ready = root.openChild(name);
    for (const one of namesIn(ready)) moveUp(ready, root, one);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOTDIR' && errno !== 'ELOOP' && errno !== 'ENOENT') throw error;
  }
}

/**
 * Fills an empty directory: all or nothing, at whatever moment it is killed. `fill` makes everything in a stage inside of
 * it, and returns the entry of the root where there is one; then it is moved into place, which `isEmptyVolume` brings to
 * its end after a kill. The stage is reached by a path that leads to it alone, whatever a container that sees the volume
 * puts in its place. The caller holds the lock.
 */
export async function fillEmpty(
  root: ByteString,
  fill: (stage: ByteString) => Promise<Entry | undefined>,
  log: WorkLog,
): Promise<void> {
  using handle = DirectoryHandle.open(root);
  const token = randomBytes(8).toString('hex');
  const names = { stage: `${stagePrefix}${token}`, ready: `${readyPrefix}${token}` };
  try {
    mkdirSync(toPath(handle.at(names.stage)), { mode: 0o700 });
    using stage = handle.openChild(names.stage);
    const rootEntry = await fill(stage.self);
    syncDirectoryTree(root);
    log.check('fill the volume');
    // Set now, so that a kill cannot lose it, and again afterwards, for the time that the moves change. Another user
    // than root may lock itself out by it.
    if (rootEntry !== undefined && process.geteuid?.() === 0) setRoot(handle, rootEntry, () => undefined);
    moveIntoPlace({ root: handle, stage, names });
    if (rootEntry !== undefined) setRoot(handle, rootEntry, log.onProblem);
    syncDirectoryTree(root);
  } catch (error) {
    await removeTreeIn(handle, names.stage);
    throw asAppError(error);
  }
}

interface StagedFill {
  readonly root: DirectoryHandle;
  readonly stage: DirectoryHandle;
  readonly names: { readonly stage: ByteString; readonly ready: ByteString };
}

/** Moves everything up, or nothing: what was moved before an error goes back. */
function moveIntoPlace({ root, stage, names }: StagedFill): void {
  const others = namesIn(root).filter((name) => name !== 'lost+found' && !isLeft(name));
  if (others.length > 0) {
    throw new AppError('conflict', 'Cannot fill the volume: something was written to it meanwhile', {
      hint: 'Stop what uses the volume, and try again.',
    });
  }
  renameSync(toPath(root.at(names.stage)), toPath(root.at(names.ready)));
  const moved: ByteString[] = [];
  try {
    for (const name of namesIn(stage)) {
      moveUp(stage, root, name);
      moved.push(name);
    }
    removeDirectoryAt(root.fd, names.ready);
  } catch (error) {
    for (const name of moved) renameSync(toPath(root.at(name)), toPath(stage.at(name)));
    renameSync(toPath(root.at(names.ready)), toPath(root.at(names.stage)));
    throw error;
  }
}

function moveUp(from: DirectoryHandle, root: DirectoryHandle, name: ByteString): void {
  // ext4 keeps one of its own at the root of a file system.
  if (name === 'lost+found' && namesIn(root).includes(name)) removeDirectoryAt(root.fd, name);
  renameSync(toPath(from.at(name)), toPath(root.at(name)));
}

function setRoot(root: DirectoryHandle, entry: Entry, report: ProblemReporter): void {
  applyMetadata({ at: root.at('.'), inheritedAcl: true }, entry, report);
}

function namesIn(directory: DirectoryHandle): ByteString[] {
  return readdirSync(toPath(directory.at('.')), { encoding: 'latin1' });
}

/** Everything that was written is on disk when this returns. */
export function syncDirectoryTree(root: ByteString): void {
  const fd = openSync(toPath(root), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syncFilesystem(fd);
  } finally {
    closeSync(fd);
  }
}

function asAppError(error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  const code = isFull
    ? 'full'
    : errno === 'EROFS'
      ? 'read-only'
      : errno === 'EACCES' || errno === 'EPERM'
        ? 'denied'
        : 'failed';
  return new AppError(code, `Cannot write to the volume: ${reasonText(errno)}`, { cause: error });
}
