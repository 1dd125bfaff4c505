import { errorInWords } from '../lib/known-error.ts';
import type { AppError } from '../model/errors.ts';

/** A whole error on one line, as the clients of Docker's protocols show it. */
export function errorLine(error: AppError): string {
  const [words, hint] = [errorInWords(error), error.hint];
  return hint === undefined ? words : `${words} (${hint.replace(/\.$/, '')})`;
}
