import type { AppError } from '../model/errors.ts';

const longestLine = 4000;

/** Tells the log of a request that failed, on one line of bounded length: names come from clients, and may be a megabyte. */
export function sayFailure(
  say: (message: string) => void,
  what: string,
  { message, detail }: Pick<AppError, 'message' | 'detail'>,
): void {
  const line = `${what}: ${message}${detail === undefined ? '' : ` (${detail})`}`;
  say(line.length > longestLine ? `${line.slice(0, longestLine)}…` : line);
}
