import path from 'node:path';
import type { NewKey } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';

export interface NewKeyFlags {
  readonly newPasswordFile?: string;
  readonly newPasswordCommand?: string;
  readonly newKeyFile?: string;
}

/** The source of the new password; no flags mean a random key in the state folder. */
export function newKeyOf({ newPasswordFile, newPasswordCommand, newKeyFile }: NewKeyFlags): NewKey {
  const given = [newPasswordFile, newPasswordCommand, newKeyFile].filter((flag) => flag !== undefined);
  if (given.length > 1) {
    throw new AppError(
      'usage',
      'The flags --new-password-file, --new-password-command and --new-key-file exclude each other',
    );
  }
  if (newPasswordFile !== undefined) return { passwordReference: `file:${path.resolve(newPasswordFile)}` };
  if (newPasswordCommand !== undefined) return { passwordReference: `exec:${newPasswordCommand}` };
  return newKeyFile === undefined ? {} : { keyFile: path.resolve(newKeyFile) };
}
