import { AppError, errnoOf } from '../../model/errors.ts';
import { missingFile, noRepository } from './store-errors.ts';

/** What a system error means for a repository in a local directory. `file` is what was looked for, if it was one file. */
export function explainLocal(error: unknown, location: string, file?: string): unknown {
  const where = `repository "${location}"`;
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return file ? missingFile(location, file, error) : noRepository(location, error);
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('full', `Cannot write to ${where}: the disk is full`, {
        hint: 'Free space on that disk and run the command again: it goes on from what is stored.',
        cause: error,
      });
    case 'EROFS':
      return new AppError('read-only', `Cannot write to ${where}: its file system is read-only`, {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new AppError('denied', `Cannot use ${where}: permission denied`, {
        hint: 'Run as the user who owns it.',
        cause: error,
      });
    case 'EIO':
      return new AppError('failed', `Cannot use ${where}: the disk reports an input/output error`, {
        hint: 'Look at the kernel log, and check the disk before anything else.',
        cause: error,
      });
    case undefined:
      return error;
    default:
      return new AppError('failed', `Cannot use ${where}: ${errnoOf(error)}`, { cause: error });
  }
}
