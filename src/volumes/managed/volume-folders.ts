import { AppError, errnoOf, errorMessage } from '../../model/errors.ts';
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncAll, syncDirectory } from '../../lib/durable-file.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';
import { inodeFlag, setInodeFlag } from '../../lib/ioctl.ts';
import { bootId } from '../../lib/process-identity.ts';

const { ext4, xfs, tmpfs } = filesystemType;
/**
 * File systems that write names in order. On tmpfs, a power cut leaves nothing. Btrfs has a log of its own
 * for single files, out of order with names exchanged meanwhile: a hundred power cuts lost nothing, and it is
 * waited for all the same.
 */
const inOrder = new Set<number>([ext4, xfs, tmpfs]);

/** Where the directories of embedded volumes are. */
export class VolumeFolders {
  readonly stateDir: string;
  readonly volumesDir: string;
  readonly trashDir: string;
  /**
   * The kernel's boot id where directories may reach the disk later than their record; undefined where each
   * is waited for. Late is safe only on the catalog's own disk, which cannot be missing separately, and on a
   * file system whose journal keeps the order.
   */
  readonly settlingBoot: string | undefined;

  private constructor(stateDir: string) {
    this.stateDir = stateDir;
    this.volumesDir = join(stateDir, 'volumes');
    this.trashDir = join(stateDir, 'trash');
    const maySettleLater =
      isOneDisk([stateDir, this.volumesDir, this.trashDir]) && inOrder.has(statfsSync(stateDir).type);
    this.settlingBoot = maySettleLater ? bootId() || undefined : undefined;
  }

  static async open(stateDir: string): Promise<VolumeFolders> {
    try {
      await mkdir(join(stateDir, 'volumes'), { recursive: true, mode: 0o711 });
      await mkdir(join(stateDir, 'trash'), { recursive: true, mode: 0o700 });
      return new VolumeFolders(stateDir);
    } catch (error) {
      throw stateError(`Cannot use the state folder "${stateDir}"`, error);
    }
  }

  /** The folder for all that belongs to a volume. */
  path(name: string): string {
    return `${this.volumesDir}/${name}`;
  }

  dataPath(name: string): string {
    return `${this.volumesDir}/${name}/_data`;
  }

  async names(): Promise<string[]> {
    return await readdir(this.volumesDir);
  }

  /** Makes that folder, if necessary. */
  async createFolder(name: string): Promise<void> {
    this.makeFolder(name);
    await syncDirectory(this.volumesDir);
  }

  /** Makes that folder, not durably: for `create`, which follows. */
  makeFolder(name: string): void {
    try {
      makeDirectory(this.path(name), 0o711);
    } catch (error) {
      throw stateError(`Cannot create volume "${name}"`, error);
    }
  }

  /**
   * Makes the data directory in the folder, without waiting for the disk. False when the process's umask
   * prevented making the directories with their modes in one step: after a power cut, their state could not
   * be told from the requested one.
   */
  makeData(name: string): boolean {
    try {
      return makeDirectory(this.dataPath(name), 0o755);
    } catch (error) {
      throw stateError(`Cannot create volume "${name}"`, error);
    }
  }

  /** Makes a volume's directories durably; existing ones stay as they are. */
  async create(name: string): Promise<void> {
    this.makeFolder(name);
    this.makeData(name);
    try {
      // The process that made them may have been killed before they were durable.
      await syncAll([this.volumesDir, this.path(name)]);
    } catch (error) {
      throw stateError(`Cannot create volume "${name}"`, error);
    }
  }

  async isEmpty(name: string): Promise<boolean> {
    try {
      return (await readdir(this.dataPath(name))).length === 0;
    } catch (error) {
      throw stateError(`Cannot create volume "${name}"`, error);
    }
  }

  /**
   * Throws `integrity` unless the volume's data is a directory here: an empty one is never made in its place.
   */
  async check(name: string): Promise<void> {
    for (const path of [this.path(name), this.dataPath(name)]) {
      if (await mayBeDirectory(path)) continue;
      throw new AppError(
        'integrity',
        `The data of volume "${name}" is missing: "${path}" is not a directory`,
        {
          hint: `Put the directory back, or remove the volume and restore it from a backup: "holdfast volume rm ${name}", "holdfast restore ${name}".`,
        },
      );
    }
  }
}

/** A mount that does not answer hides what it is. */
async function mayBeDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '');
  }
}

function isOneDisk(paths: readonly string[]): boolean {
  return new Set(paths.map((path) => statSync(path).dev)).size === 1;
}

/**
 * The mode is exact, regardless of the process's umask. Synchronous, so that nothing else uses it before it
 * is done. True when it was made with that mode in one step.
 */
function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && lstatSync(path).isDirectory()) return false;
    throw error;
  }
  if ((lstatSync(path).mode & 0o7777) === mode) return true;
  chmodSync(path, mode);
  return false;
}

/** A file system's error in the project's words. */
export function stateError(action: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const errno = errnoOf(error);
  const options = { detail: errorMessage(error), cause: error };
  switch (errno) {
    case 'EACCES':
    case 'EPERM':
      return new AppError('denied', `${action}: permission denied`, {
        ...options,
        hint: 'Run as the owner of the state folder, or choose another by --state-dir.',
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('full', `${action}: the disk is full`, options);
    case 'EROFS':
      return new AppError('read-only', `${action}: the file system is read-only`, options);
    case 'EEXIST':
    case 'ENOTDIR':
      return new AppError('integrity', `${action}: something else is in its place`, options);
    default:
      return new AppError('failed', action, options);
  }
}

/**
 * Sets or clears the immutable flag of a directory, with which not even root can write to it. False where the
 * file system has no such flag, or this user may not set it.
 */
export function setImmutable(path: string, isImmutable: boolean): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return false;
  }
  try {
    return setInodeFlag(fd, inodeFlag.immutable, isImmutable);
  } finally {
    closeSync(fd);
  }
}
