import { errnoOf, isAppError } from '../model/errors.ts';

/**
 * True for an error that says that the state folder cannot be written: read-only, full, or not this user's.
 */
export function isUnwritable(error: unknown): boolean {
  if (isAppError(error, 'read-only') || isAppError(error, 'full') || isAppError(error, 'denied')) return true;
  const cause = error instanceof Error ? (errnoOf(error) ?? errnoOf(error.cause)) : undefined;
  return cause !== undefined && ['EROFS', 'ENOSPC', 'EDQUOT', 'EACCES', 'EPERM'].includes(cause);
}
