import { knownError } from '../../lib/known-error.ts';
import { exitNumber } from '../../model/errors.ts';
import { printableField } from '../../model/quote.ts';
import { paintFor, paintMessage } from './colour.ts';

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

/** Shows an error outside a command, and makes it this process's exit number. */
export function failWith(process: NodeJS.Process, error: unknown): void {
  process.stderr.write(`${paintMessage(formatError(error, false), paintFor(process.stderr))}\n`);
  process.exitCode = exitNumberOf(error);
}

export function exitNumberOf(error: unknown): number {
  return exitNumber(knownError(error).code);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nCaused by: ${stackOf(error.cause)}`;
}
