import { AppError, errnoOf, type ErrorCode, errorMessage, isAppError } from '../model/errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly words: string;
}

const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'full', words: 'the disk is full' },
  EDQUOT: { code: 'full', words: 'the quota is used up' },
  EROFS: { code: 'read-only', words: 'the file system is read-only' },
  EACCES: { code: 'denied', words: 'permission denied' },
  EPERM: { code: 'denied', words: 'not permitted' },
  ENOENT: { code: 'not-found', words: 'it is not there any more' },
  EBUSY: { code: 'in-use', words: 'it is in use' },
};

/**
 * Turns any error into an AppError: a system error gets the code of its errno, and `action` before its
 * message.
 */
export function knownError(error: unknown, action?: string): AppError {
  if (isAppError(error)) return error;
  // The first failure is what happened; that the cleanup failed too is secondary.
  if (error instanceof SuppressedError) return knownError(error.suppressed, action);
  if (error instanceof Error && error.name === 'AbortError')
    return new AppError('cancelled', 'Cancelled', { cause: error });
  const meaning = meanings[errnoOf(error) ?? ''];
  const text = errorMessage(error);
  const message = action === undefined ? text : `${action}: ${meaning?.words ?? text}`;
  return new AppError(meaning?.code ?? 'failed', message, {
    detail: action === undefined || meaning === undefined ? undefined : text,
    hint: meaning === undefined ? 'Set HOLDFAST_DEBUG=1 to see where it happened.' : undefined,
    cause: error,
  });
}

/**
 * Message and detail of an error in one line, for use in another's sentence: an engine's own reason is in the
 * detail.
 */
export function errorInWords(error: unknown): string {
  const message = errorMessage(error);
  const detail = isAppError(error) ? error.detail?.trim().replaceAll(/\s*\n\s*/g, '; ') : undefined;
  return detail === undefined || detail === '' ? message : `${message}: ${detail}`;
}
