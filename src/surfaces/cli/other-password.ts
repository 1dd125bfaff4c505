import path from 'node:path';
import { AppError } from '../../model/errors.ts';

/** Where the password of a second repository comes from; undefined when nothing is given, so that the catalog says it. */
export function otherPassword(file: string | undefined, command: string | undefined): string | undefined {
  if (file !== undefined && command !== undefined)
    throw new AppError(
      'usage',
      'Give the password of the other repository in a file or by a command, not both',
    );
  if (file !== undefined) return `file:${path.resolve(file)}`;
  return command === undefined ? undefined : `exec:${command}`;
}
