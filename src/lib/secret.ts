import { AppError, type ErrorCode } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { readPassword } from './password.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const reasons: Partial<Readonly<Record<ErrorCode, string>>> = {
  usage: 'it is not set, or empty',
  'not-found': 'there is no such file',
  denied: 'permission denied',
  failed: 'the command failed',
};

/** Resolves references to the secrets of stores (`file:`, `env:`, `exec:`), for `RepositoryAccess`. */
export function secretReader(
  env: Environment,
  writtenIn?: { readonly stateDir: string },
): (reference: string) => Promise<string> {
  return async (reference) => {
    try {
      return Buffer.from(await readPassword(reference, env, writtenIn)).toString('utf8');
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const reason = reasons[error.code] ?? error.message;
      throw new AppError(error.code, `Cannot read the credential ${quote(reference)}: ${reason}`, {
        hint: 'The repository\'s options name it: see "holdfast repo ls --format json".',
        cause: error,
      });
    }
  };
}
