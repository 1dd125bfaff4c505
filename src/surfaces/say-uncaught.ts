import { knownError } from '../lib/known-error.ts';

/** Logs an error that a service survived, with its place in the code: it is a bug. */
export function sayUncaught(say: (message: string) => void, what: string | undefined, error: unknown): void {
  const { message } = knownError(error);
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 4) : [];
  const place = stack.map((line) => line.trim()).join(' ');
  say(`${what ?? 'Between requests'}: uncaught error: ${message}${place === '' ? '' : ` (${place})`}`);
}
