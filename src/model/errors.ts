/** The closed set of error codes. Every error that a user sees has one. */
export type ErrorCode =
  | 'usage'
  | 'not-found'
  | 'exists'
  | 'conflict'
  | 'in-use'
  | 'locked'
  | 'denied'
  | 'wrong-password'
  | 'integrity'
  | 'partial'
  | 'full'
  | 'read-only'
  | 'unavailable'
  | 'unsupported'
  | 'cancelled'
  | 'failed';

interface CodeMeaning {
  readonly exit: number;
  readonly http: number;
}

/** The one table from code to exit number and HTTP status. */
const meanings: Readonly<Record<ErrorCode, CodeMeaning>> = {
  usage: { exit: 2, http: 400 },
  'not-found': { exit: 4, http: 404 },
  exists: { exit: 1, http: 409 },
  conflict: { exit: 1, http: 409 },
  'in-use': { exit: 5, http: 409 },
  locked: { exit: 5, http: 423 },
  denied: { exit: 1, http: 403 },
  'wrong-password': { exit: 1, http: 401 },
  integrity: { exit: 6, http: 500 },
  partial: { exit: 3, http: 207 },
  full: { exit: 1, http: 507 },
  'read-only': { exit: 1, http: 403 },
  unavailable: { exit: 1, http: 503 },
  unsupported: { exit: 1, http: 501 },
  cancelled: { exit: 130, http: 499 },
  failed: { exit: 1, http: 500 },
};

export interface AppErrorOptions {
  /** Details, for the line below the message. */
  readonly detail?: string | undefined;
  /** What the user can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** The one error type that crosses a contract. `message` names its subject in quotes. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.detail = options.detail;
    this.hint = options.hint;
  }
}

/** Exit number of the command for an error code. */
export function exitNumber(code: ErrorCode): number {
  return meanings[code].exit;
}

/** HTTP status for an error code. */
export function httpStatus(code: ErrorCode): number {
  return meanings[code].http;
}

/** True when `error` is an AppError, of the given code if one is named. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** The errno name (`ENOENT`) of a system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/**
 * The message of a thrown value, which may not be an Error. `errorInWords` adds the detail of an AppError.
 */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
