import type { AppError } from '../model/errors.ts';

/** All of an error on one line, as the clients of Docker's protocols show it. */
export function errorLine({ message, detail, hint }: AppError): string {
  const words = detail === undefined ? message : `${message}: ${detail.replaceAll('\n', '; ')}`;
  return hint === undefined ? words : `${words} (${hint.replace(/\.$/, '')})`;
}
