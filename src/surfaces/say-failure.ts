import { errorInWords } from '../lib/known-error.ts';
import type { AppError } from '../model/errors.ts';

const longestLine = 4000;

/** Logs a failed request on one line of bounded length: names come from clients, and may be a megabyte. */
export function sayFailure(say: (message: string) => void, what: string, error: AppError): void {
  const line = `${what}: ${errorInWords(error)}`;
  say(line.length > longestLine ? `${line.slice(0, longestLine)}…` : line);
}
