import { closeSync, constants, openSync, readdirSync, renameSync } from 'node:fs';
import { applyMetadata } from '../lib/apply-metadata.ts';
import type { DirectoryHandle } from '../lib/directory-handle.ts';
import { tryLockDirectory } from '../lib/directory-lock.ts';
import { hasLastingInodes } from '../lib/filesystem-type.ts';
import { isSameFile, isStillAt, openTrusted } from '../lib/open-trusted.ts';
import { makeOwnDirectory, removeOwnDirectory, replacedDirectory } from '../lib/own-directory.ts';
import { type FileStat, removeDirectoryAt, statAt } from '../lib/posix-at.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { removeTreeIn } from '../lib/remove-tree.ts';
import { isFillName, isReadyFill, newFillNames } from '../lib/stage-names.ts';
import { type ProblemReporter, reasonText } from '../lib/tree-problem.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { WorkLog } from './work-log.ts';

/**
 * A volume's root, held open from the first look to the end: the user who owns the parent folder can give its
 * name to another directory at any moment, and our writes must not land there.
 */
export interface HeldVolume extends Disposable {
  readonly root: DirectoryHandle;
  /** Throws `conflict` when the root's path now leads somewhere else. */
  refuseMoved(): void;
}

/** Opens a volume's root against other Holdfast processes that fill it or copy into it; else `locked`. */
export function lockVolume(
  path: ByteString,
  { action, name }: { readonly action: string; readonly name: string },
): HeldVolume {
  using opened = new DisposableStack();
  const root = opened.use(openTrusted(path));
  const lock = opened.use(tryLockDirectory(root.self));
  if (lock === undefined) {
    throw new AppError(
      'locked',
      `Cannot ${action} ${quote(name)}: another Holdfast process is writing to it`,
      {
        hint: 'Wait until it is done, or end that process.',
      },
    );
  }
  const closed = opened.move();
  return {
    root,
    refuseMoved() {
      if (!isStillAt(root, path) && hasLastingInodes(root.self)) throw movedAway({ action, name });
    },
    [Symbol.dispose]: () => closed[Symbol.dispose](),
  };
}

/** True for a volume with only what file systems and interrupted work leave. The caller holds the lock. */
export async function isEmptyVolume(root: DirectoryHandle): Promise<boolean> {
  for (const name of namesIn(root)) if (isFillName(name)) await settle(root, name);
  return namesIn(root).every((name) => name === 'lost+found');
}

/**
 * Finishes moving a complete stage that a kill left, and removes an incomplete one. A container that sees the
 * volume may have made the name itself, so a symbolic link there is not followed.
 */
async function settle(root: DirectoryHandle, name: ByteString): Promise<void> {
  if (isReadyFill(name)) moveAllUp(root, name);
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
 * Fills an empty volume: all or nothing, even after a kill. `fill` makes everything in a stage inside it, and
 * returns the root's entry, if there is one; then everything is moved into place, which `isEmptyVolume`
 * finishes after a kill. The stage's path leads to it alone, even if a container that sees the volume
 * replaces it.
 */
export async function fillEmpty(
  volume: HeldVolume,
  fill: (stage: ByteString) => Promise<Entry | undefined>,
  log: WorkLog,
): Promise<void> {
  const { root } = volume;
  const names = newFillNames();
  try {
    using stage = makeOwnDirectory(root, names.stage);
    try {
      const rootEntry = await fill(stage.self);
      syncVolume(root);
      log.check('fill the volume');
      volume.refuseMoved();
      // Set now, so that a kill cannot lose it, and again afterwards, because the moves change its time. A
      // user other than root could lock itself out.
      if (rootEntry !== undefined && process.geteuid?.() === 0) setRoot(root, rootEntry, () => undefined);
      moveIntoPlace({ root, stage, names });
      if (rootEntry !== undefined) setRoot(root, rootEntry, log.onProblem);
      syncVolume(root);
      volume.refuseMoved();
    } catch (error) {
      await removeOwnDirectory(root, { name: names.stage, made: stage });
      throw error;
    }
  } catch (error) {
    throw asAppError(error);
  }
}

interface StagedFill {
  readonly root: DirectoryHandle;
  readonly stage: DirectoryHandle;
  readonly names: { readonly stage: ByteString; readonly ready: ByteString };
}

/** Moves everything up, or nothing: after an error, what was moved goes back. */
function moveIntoPlace({ root, stage, names }: StagedFill): void {
  const others = namesIn(root).filter((name) => name !== 'lost+found' && !isFillName(name));
  if (others.length > 0) {
    throw new AppError('conflict', 'Cannot fill the volume: something was written to it meanwhile', {
      hint: 'Stop what uses the volume, and try again.',
    });
  }
  renameSync(toPath(root.at(names.stage)), toPath(root.at(names.ready)));
  const moved: { readonly name: ByteString; readonly stat: FileStat }[] = [];
  try {
    if (isOther(root, names.ready, stage.stat())) throw replacedDirectory(names.stage);
    for (const name of namesIn(stage)) {
      const stat = statAt(stage.fd, name);
      moveUp(stage, root, name);
      moved.push({ name, stat });
    }
    removeDirectoryAt(root.fd, names.ready);
  } catch (error) {
    // Only our own entries: another program may have replaced some.
    for (const { name, stat } of moved)
      if (!isOther(root, name, stat)) renameSync(toPath(root.at(name)), toPath(stage.at(name)));
    renameIfThere(root, { from: names.ready, to: names.stage });
    throw error;
  }
}

/** True when something else has the name by now, or nothing. */
function isOther(root: DirectoryHandle, name: ByteString, wanted: Pick<FileStat, 'dev' | 'ino'>): boolean {
  try {
    return !isSameFile(statAt(root.fd, name), wanted) && hasLastingInodes(root.self);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
}

/** Another program may have taken either name: the error that led here matters more. */
function renameIfThere(
  root: DirectoryHandle,
  { from, to }: { readonly from: ByteString; readonly to: ByteString },
): void {
  try {
    renameSync(toPath(root.at(from)), toPath(root.at(to)));
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

function moveUp(from: DirectoryHandle, root: DirectoryHandle, name: ByteString): void {
  // ext4 keeps its own at the root of a file system.
  if (name === 'lost+found' && namesIn(root).includes(name)) removeDirectoryAt(root.fd, name);
  renameSync(toPath(from.at(name)), toPath(root.at(name)));
}

function setRoot(root: DirectoryHandle, entry: Entry, report: ProblemReporter): void {
  applyMetadata({ at: root.at('.'), inheritedAcl: true }, entry, report);
}

function namesIn(directory: DirectoryHandle): ByteString[] {
  return readdirSync(toPath(directory.at('.')), { encoding: 'latin1' });
}

/** Returns when everything that was written is on disk. */
export function syncVolume(root: DirectoryHandle): void {
  const fd = openSync(root.self, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syncFilesystem(fd);
  } finally {
    closeSync(fd);
  }
}

function movedAway({ action, name }: { readonly action: string; readonly name: string }): AppError {
  return new AppError(
    'conflict',
    `Cannot ${action} ${quote(name)}: its directory was moved or replaced meanwhile`,
    { hint: 'Find out what does that, and try again.' },
  );
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
