import { readFileSync } from 'node:fs';

/**
 * What a file of the kernel says, by default as UTF-8; empty where it is not there: processes end, other users' are closed
 * to this one, and not every kernel counts everything.
 */
export function readOrNothing(file: string, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  try {
    return readFileSync(file, encoding);
  } catch {
    return '';
  }
}
