import { knownError } from '../lib/known-error.ts';

/** Tells the log of an error that a service met and went on after, with the place: it is an error of the program. */
export function sayUncaught(say: (message: string) => void, what: string | undefined, error: unknown): void {
  const { message } = knownError(error);
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 4) : [];
  const place = stack.map((line) => line.trim()).join(' ');
  say(`${what ?? 'Between requests'}: uncaught error: ${message}${place === '' ? '' : ` (${place})`}`);
}
