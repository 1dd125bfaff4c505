import type { OtherRepository } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import { textFlag } from './define-command.ts';
import { otherPassword } from './other-password.ts';

export interface ChunkerFromFlags {
  readonly chunkerFrom?: string;
  readonly fromPasswordFile?: string;
  readonly fromPasswordCommand?: string;
}

export const chunkerFromFlags = {
  chunkerFrom: textFlag(
    'Cut data in the same places as this repository does, for copies between them',
    'URL',
  ),
  fromPasswordFile: textFlag('File that holds its password, when it is not known by name', 'FILE'),
  fromPasswordCommand: textFlag('Command that prints its password', 'COMMAND'),
};

/** The repository whose chunker parameters a new one takes. */
export function chunkerFromOf(flags: ChunkerFromFlags): OtherRepository | undefined {
  const reference = otherPassword(flags.fromPasswordFile, flags.fromPasswordCommand);
  if (flags.chunkerFrom !== undefined) return { repository: flags.chunkerFrom, passwordReference: reference };
  if (reference === undefined) return undefined;
  throw new AppError('usage', 'There is a password for a repository that is not named', {
    hint: 'Name it with --chunker-from.',
  });
}
