import path from 'node:path';
import { AppError } from '../../model/errors.ts';

/**
 * The password reference of a second repository; undefined when no flag is given, so that the catalog's is
 * used.
 */
export function otherPassword(file: string | undefined, command: string | undefined): string | undefined {
  if (file !== undefined && command !== undefined)
    throw new AppError(
      'usage',
      'Give the password of the other repository in a file or by a command, not both',
    );
  if (file !== undefined) return `file:${path.resolve(file)}`;
  return command === undefined ? undefined : `exec:${command}`;
}
