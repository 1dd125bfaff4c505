import { AppError, type ErrorCode, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

const lostNothing =
  'No backup is lost with it, because repositories describe themselves: move it and its "-wal" and "-shm" aside, and Holdfast makes a new one from its copy, "catalog.json", and from what lies in the state folder.';

const chooseFolder = 'Choose a state folder that can be written to, with --state-dir.';
const seeOwner = 'See who owns it and its folder, and what their modes are.';

interface Meaning {
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint?: string;
}

const full: Meaning = {
  code: 'full',
  what: 'the disk that it is on is full',
  hint: 'Free some space and try again.',
};

/** By SQLite's primary result code. */
const meanings: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [3, { code: 'denied', what: 'access is refused' }],
  [5, { code: 'locked', what: 'another process is busy with it', hint: 'Try again in a moment.' }],
  [6, { code: 'locked', what: 'another process is busy with it', hint: 'Try again in a moment.' }],
  [
    8,
    {
      code: 'read-only',
      what: 'it cannot be written to',
      hint: chooseFolder,
    },
  ],
  [10, { code: 'failed', what: 'the disk that it is on fails, or is full' }],
  [11, { code: 'integrity', what: 'it is damaged', hint: lostNothing }],
  [13, full],
  [14, { code: 'denied', what: 'it cannot be opened', hint: seeOwner }],
  [26, { code: 'integrity', what: 'it is no SQLite database', hint: lostNothing }],
]);

const errnoMeanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['EACCES', { code: 'denied', what: 'access is refused', hint: seeOwner }],
  ['EPERM', { code: 'denied', what: 'access is refused', hint: seeOwner }],
  ['EROFS', { code: 'read-only', what: 'its file system is read-only', hint: chooseFolder }],
  ['ENOSPC', full],
  ['EDQUOT', { code: 'full', what: 'the quota of its owner is used up' }],
  ['ENOTDIR', { code: 'usage', what: 'a part of its path is no folder' }],
  ['EEXIST', { code: 'usage', what: 'a part of its path is no folder' }],
]);

/**
 * Explains an error about the catalog at `path`. Errors other than SQLite and system errors are returned
 * unchanged.
 */
export function catalogError(error: unknown, path: string): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error;
  const meaning = meaningOf(error);
  if (meaning === undefined) return error;
  return new AppError(meaning.code, `Cannot use the catalog ${quote(path)}: ${meaning.what}`, {
    detail: error.message,
    hint: meaning.hint,
    cause: error,
  });
}

function meaningOf(error: Error): Meaning | undefined {
  if (isSqliteError(error)) {
    if (isWithoutRoom(error)) return full;
    return meanings.get(error.errcode & 0xff) ?? { code: 'failed', what: 'SQLite refuses' };
  }
  const errno = errnoOf(error);
  return errno === undefined
    ? undefined
    : (errnoMeanings.get(errno) ?? { code: 'failed', what: 'it cannot be opened' });
}

/** True while another connection holds a lock that this one needs. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && isSqliteError(error) && [5, 6].includes(error.errcode & 0xff);
}

/**
 * True where the disk has no room for the shared memory file of connections, which SQLite reports as an I/O
 * error.
 */
export function isWithoutRoom(error: unknown): boolean {
  return error instanceof Error && isSqliteError(error) && error.errcode === shmSize;
}

/** SQLITE_IOERR_SHMSIZE */
const shmSize = 10 | (19 << 8);

function isSqliteError(error: Error): error is Error & { errcode: number } {
  return 'errcode' in error && typeof error.errcode === 'number';
}
