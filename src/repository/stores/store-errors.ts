import { AppError } from '../../model/errors.ts';
import type { ByteRange, FileType } from './store.ts';

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled();
}

export function cancelled(cause?: unknown): AppError {
  return new AppError('cancelled', 'The work was stopped', { cause });
}

/** `config`, or the type and the name. */
export function fileLabel(type: FileType, name: string): string {
  return type === 'config' ? 'config' : `${type}/${name}`;
}

export function missingFile(location: string, label: string, cause?: unknown): AppError {
  return new AppError('not-found', `File "${label}" is missing in repository "${location}"`, { cause });
}

export function noRepository(location: string, cause?: unknown): AppError {
  return new AppError('not-found', `There is no repository "${location}"`, { cause });
}

export function tooShort(location: string, label: string): AppError {
  return new AppError('integrity', `File "${label}" in "${location}" is too short`);
}

export function alreadyThere(location: string): AppError {
  return new AppError('exists', `Cannot make a repository in "${location}": there is one already`);
}

/** For a file that is never replaced. */
export function anotherThere(location: string, label: string): AppError {
  return new AppError(
    'exists',
    `Cannot write "${label}" to repository "${location}": there is another one already`,
  );
}

/** A place with foreign content is not a place for a repository. */
export function refuseForeign(location: string, foreign: readonly string[]): void {
  if (foreign.length === 0) return;
  throw new AppError('exists', `Cannot make a repository in "${location}": it is not empty`, {
    detail: `It holds "${foreign[0]}"${foreign.length > 1 ? ` and ${foreign.length - 1} more` : ''}.`,
    hint: 'Choose a place that does not exist, or an empty one.',
  });
}

export function unavailable(location: string, why: string, cause?: unknown): AppError {
  return new AppError('unavailable', `Cannot reach repository "${location}": ${why}`, { cause });
}

export function fullStore(location: string, cause?: unknown): AppError {
  return new AppError('full', `Cannot write to repository "${location}": there is no room left`, {
    hint: 'Free space there and run the command again: it goes on from what is stored.',
    cause,
  });
}

/**
 * The cause of a server error that may be permanent: it is retried only a few times, whereas an unreachable
 * server is retried until the deadline.
 */
export class ServerFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ServerFault';
  }
}

/** Bytes `offset` to `offset + length` of a response that begins at `start`. */
export function cutRange(bytes: Buffer, range: ByteRange, start: number): Buffer | undefined {
  const from = range.offset - start;
  return bytes.length >= from + range.length ? bytes.subarray(from, from + range.length) : undefined;
}
