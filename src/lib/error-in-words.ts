import { isAppError } from '../model/errors.ts';

/** Message and detail of an error in one line, for a sentence of another one: an engine's own reason is in the detail. */
export function errorInWords(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const detail = isAppError(error) ? error.detail?.trim().replaceAll(/\s*\n\s*/g, '; ') : undefined;
  return detail === undefined || detail === '' ? message : `${message}: ${detail}`;
}
