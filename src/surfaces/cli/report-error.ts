import { knownError } from '../../lib/known-error.ts';
import { exitNumber } from '../../model/errors.ts';
import { printableField } from '../../model/quote.ts';

/** An error as the user sees it: message, detail, hint. A stack trace only with HOLDFAST_DEBUG. */
export function formatError(error: unknown, debug: boolean): string {
  const known = knownError(error);
  const lines = [`holdfast: ${printableField(known.message)}`];
  if (known.detail !== undefined)
    lines.push(...known.detail.split('\n').map((line) => `  ${printableField(line)}`));
  if (known.hint !== undefined) lines.push(`Hint: ${printableField(known.hint)}`);
  if (debug) lines.push(stackOf(error));
  return lines.join('\n');
}

export function exitNumberOf(error: unknown): number {
  return exitNumber(knownError(error).code);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nCaused by: ${stackOf(error.cause)}`;
}
