import { type ErrorCode, AppError, errnoOf, exitNumber, isAppError } from '../../model/errors.ts';
import { fromText, toPrintable } from '../../model/byte-string.ts';

/** An error as the user sees it: message, detail, hint. A stack trace only where HOLDFAST_DEBUG asks for it. */
export function formatError(error: unknown, debug: boolean): string {
  const known = asAppError(error);
  const lines = [`holdfast: ${printable(known.message)}`];
  if (known.detail !== undefined)
    lines.push(...known.detail.split('\n').map((line) => `  ${printable(line)}`));
  if (known.hint !== undefined) lines.push(`Hint: ${printable(known.hint)}`);
  if (debug) lines.push(stackOf(error));
  return lines.join('\n');
}

export function exitNumberOf(error: unknown): number {
  return exitNumber(asAppError(error).code);
}

/** System errors that no layer has put into words yet. */
const codesByErrno: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'read-only',
  EACCES: 'denied',
  EPERM: 'denied',
};

function asAppError(error: unknown): AppError {
  if (isAppError(error)) return error;
  if (error instanceof Error && error.name === 'AbortError') return new AppError('cancelled', 'Cancelled');
  const code = codesByErrno[errnoOf(error) ?? ''] ?? 'failed';
  const hint = code === 'failed' ? 'Set HOLDFAST_DEBUG=1 to see where it happened.' : undefined;
  return new AppError(code, error instanceof Error ? error.message : String(error), { hint, cause: error });
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nCaused by: ${stackOf(error.cause)}`;
}

function printable(text: string): string {
  return toPrintable(fromText(text));
}
