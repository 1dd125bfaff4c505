import { toPrintable } from '../../model/byte-string.ts';
import { AppError, errnoOf, type ErrorCode } from '../../model/errors.ts';

/** Tells people what the operating system had against writing to a target. */
export async function explainingSystemErrors<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const [meaning, reason] = targetErrors[code] ?? (['failed', code] as const);
    throw new AppError(meaning, `Cannot restore to "${target}": ${reason}`, {
      detail: error instanceof Error ? toPrintable(error.message) : undefined,
      cause: error,
    });
  }
}

const targetErrors: Readonly<Record<string, readonly [code: ErrorCode, reason: string]>> = {
  ENOSPC: ['full', 'the disk is full'],
  EDQUOT: ['full', 'the quota is used up'],
  EROFS: ['read-only', 'its file system is read-only'],
  EACCES: ['denied', 'permission denied'],
  EPERM: ['denied', 'not permitted'],
  EEXIST: ['exists', 'it is there already'],
  ENOENT: ['not-found', 'the directory above does not exist'],
};
