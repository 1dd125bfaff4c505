import { chmodSync, lstatSync, mkdirSync } from 'node:fs';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../lib/durable-file.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { syncAll } from './sync-all.ts';

/** Where the directories of embedded volumes are. */
export class VolumeFolders {
  readonly stateDir: string;
  readonly volumesDir: string;
  readonly trashDir: string;

  private constructor(stateDir: string) {
    this.stateDir = stateDir;
    this.volumesDir = join(stateDir, 'volumes');
    this.trashDir = join(stateDir, 'trash');
  }

  static async open(stateDir: string): Promise<VolumeFolders> {
    const folders = new VolumeFolders(stateDir);
    try {
      await mkdir(folders.volumesDir, { recursive: true, mode: 0o711 });
      await mkdir(folders.trashDir, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw stateError(`Cannot use the state folder "${stateDir}"`, error);
    }
    return folders;
  }

  /** The folder that holds all that belongs to a volume. */
  path(name: string): string {
    return `${this.volumesDir}/${name}`;
  }

  dataPath(name: string): string {
    return `${this.volumesDir}/${name}/_data`;
  }

  async names(): Promise<string[]> {
    return await readdir(this.volumesDir);
  }

  /** Makes the folder that holds all that belongs to a volume, unless it is there. */
  async createFolder(name: string): Promise<void> {
    this.makeFolder(name);
    await syncDirectory(this.volumesDir);
  }

  /** Makes the same, not durably: for `create`, which follows. */
  makeFolder(name: string): void {
    try {
      makeDirectory(this.path(name), 0o711);
    } catch (error) {
      throw stateError(`Cannot create volume "${name}"`, error);
    }
  }

  /** Makes a volume's directories durably; those that are there already stay as they are. */
  async create(name: string): Promise<void> {
    this.makeFolder(name);
    try {
      makeDirectory(this.dataPath(name), 0o755);
      // Whoever made them may have been killed before they were durable.
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

  /** Throws `integrity` unless the volume's data is a directory here: an empty one is never made in its place. */
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

/** A mount there that does not answer hides what it is. */
async function mayBeDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '');
  }
}

/** The mode is exact, whatever the process's mask says. In this thread: it is over before another could begin with it. */
function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && lstatSync(path).isDirectory()) return;
    throw error;
  }
  chmodSync(path, mode);
}

/** A file system's error in the words of the project. */
export function stateError(action: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const errno = errnoOf(error);
  const options = { detail: error instanceof Error ? error.message : String(error), cause: error };
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
