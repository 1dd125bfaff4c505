import { AppError, isAppError } from '../model/errors.ts';
import type { JobOptions } from '../activity/index.ts';

/** What is said of work that was stopped by its signal, and put everything back; undefined for any other end. */
export function stoppedOr(error: unknown, { signal }: JobOptions): AppError | undefined {
  if (isAppError(error) || signal?.aborted !== true) return undefined;
  return new AppError('cancelled', 'Cancelled: everything is as it was', { cause: error });
}
