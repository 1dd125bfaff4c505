import { randomBytes } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { applyMetadata } from '../lib/apply-metadata.ts';
import { DirectoryHandle } from '../lib/directory-handle.ts';
import { tryLockDirectory } from '../lib/directory-lock.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { reasonText } from '../lib/tree-problem.ts';
import { type ByteString, toPath } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { WorkLog } from './work-log.ts';

const prefix = '.holdfast-stage-';
const stageName = /^\.holdfast-stage-[0-9a-f]{16}$/;

/** True for the directory in which an import or clone that was killed made things ready. */
export function isStageName(path: ByteString): boolean {
  return path.startsWith(prefix) && stageName.test(path);
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

/** True when a volume holds nothing but what file systems and interrupted work leave in it. */
export function isEmptyVolume(root: ByteString): boolean {
  return namesIn(root).every((name) => name === 'lost+found' || isStageName(name));
}

/**
 * Fills an empty directory: all or nothing. `fill` makes everything in a stage inside of it, and returns the entry of the
 * root where there is one; then it is moved into place. The caller holds the lock.
 */
export async function fillEmpty(
  root: ByteString,
  fill: (stage: ByteString) => Promise<Entry | undefined>,
  log: WorkLog,
): Promise<void> {
  for (const name of namesIn(root)) if (isStageName(name)) await removeTree(`${root}/${name}`);
  const stage = `${root}/${prefix}${randomBytes(8).toString('hex')}`;
  try {
    mkdirSync(toPath(stage), { mode: 0o700 });
    const rootEntry = await fill(stage);
    syncDirectoryTree(root);
    log.check('fill the volume');
    moveIntoPlace(stage, root);
    rmdirSync(toPath(stage));
    if (rootEntry !== undefined) setRoot(root, rootEntry, log);
    syncDirectoryTree(root);
  } catch (error) {
    await removeTree(stage);
    throw asAppError(error);
  }
}

/** Moves everything up, or nothing: what was moved before an error goes back. */
function moveIntoPlace(stage: ByteString, root: ByteString): void {
  const names = namesIn(stage);
  const others = namesIn(root).filter((name) => name !== 'lost+found' && !isStageName(name));
  if (others.length > 0) {
    throw new AppError('conflict', 'Cannot fill the volume: something was written to it meanwhile', {
      hint: 'Stop what uses the volume, and try again.',
    });
  }
  const moved: ByteString[] = [];
  try {
    for (const name of names) {
      // ext4 keeps one of its own at the root of a file system.
      if (name === 'lost+found' && namesIn(root).includes(name)) rmdirSync(toPath(`${root}/${name}`));
      renameSync(toPath(`${stage}/${name}`), toPath(`${root}/${name}`));
      moved.push(name);
    }
  } catch (error) {
    for (const name of moved) renameSync(toPath(`${root}/${name}`), toPath(`${stage}/${name}`));
    throw error;
  }
}

function setRoot(root: ByteString, entry: Entry, log: WorkLog): void {
  using handle = DirectoryHandle.open(root);
  applyMetadata({ at: handle.at('.'), inheritedAcl: true }, entry, log.onProblem);
}

function namesIn(path: ByteString): ByteString[] {
  return readdirSync(toPath(path), { encoding: 'latin1' });
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
