import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { cleanPath, isLocalPath } from '../../model/clean-path.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

export interface OpenedPath extends Disposable {
  readonly fd: number;
}

/** Linux's O_PATH. */
const openPath = 0o10000000;

/**
 * Opens a path within a volume step by step, so that nothing in it leads out, whatever is put there meanwhile. No step
 * may be a symbolic link.
 */
export function openSubpath(
  root: string,
  { volume, subpath }: { readonly volume: string; readonly subpath: string },
): { readonly fd: OpenedPath; readonly isFile: boolean } {
  if (!isLocalPath(subpath)) throw new AppError('usage', 'subpath must be a relative path within the volume');
  let fd = openSync(root, openPath | constants.O_DIRECTORY);
  try {
    for (const part of cleanPath(subpath).split('/')) {
      if (part === '.') continue;
      const next = openSync(`/proc/self/fd/${fd}/${part}`, openPath | constants.O_NOFOLLOW);
      closeSync(fd);
      fd = next;
      if (fstatSync(fd).isSymbolicLink()) {
        throw new AppError(
          'usage',
          `cannot access path ${quote(subpath)} of volume ${quote(volume)}: ${quote(part)} is a symbolic link`,
        );
      }
    }
    const isFile = !fstatSync(fd).isDirectory();
    const opened = fd;
    return { fd: { fd: opened, [Symbol.dispose]: () => closeSync(opened) }, isFile };
  } catch (error) {
    closeSync(fd);
    if (errnoOf(error) === undefined) throw error;
    const reason = errnoOf(error) === 'ENOENT' ? 'there is no such thing' : (error as Error).message;
    throw new AppError(
      'not-found',
      `cannot access path ${quote(subpath)} of volume ${quote(volume)}: ${reason}`,
    );
  }
}
