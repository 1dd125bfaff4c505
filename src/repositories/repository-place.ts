import path from 'node:path';
import { requireOwn } from '../lib/own-path.ts';
import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { namesProgram, parseLocation, type RepositoryAccess } from '../repository/index.ts';
import { readPassword } from '../lib/password.ts';
import { secretReader } from '../lib/secret.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A repository's location, and the options of its store. */
export interface RepositoryStore {
  readonly location: string;
  readonly options: Readonly<Record<string, string>> | undefined;
}

export interface AccessOptions {
  readonly env: Environment;
  readonly stateDir: string;
  readonly signal?: AbortSignal | undefined;
  /** Called when the store cannot be reached and is retried. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** How to reach a repository's store. The cache is in the state folder. */
export function storeAccess(
  { location, options }: RepositoryStore,
  { env, stateDir, signal, onWarning }: AccessOptions,
): Omit<RepositoryAccess, 'password'> {
  const cacheDir = path.join(stateDir, 'cache');
  const onRetry = onWarning && warnAtTimes(onWarning);
  return { location, options, env, readSecret: secretReader(env, { stateDir }), cacheDir, signal, onRetry };
}

/** Throws `denied` for a program that only a state folder names which other users can write to. */
export async function refuseForeignProgram(
  { location, options = {} }: RepositoryStore,
  stateDir: string,
): Promise<void> {
  if (!namesProgram(parseLocation(location), options)) return;
  await requireOwn(stateDir, `Cannot run the program that the state folder names for ${quote(location)}`);
}

/** How to open a repository, with its password reference. */
export function repositoryAccess(
  store: RepositoryStore & { readonly passwordReference: string },
  access: AccessOptions,
): RepositoryAccess {
  const password = async (): Promise<Uint8Array> =>
    await readPassword(store.passwordReference, access.env, access);
  return { ...storeAccess(store, access), password };
}

const warnEveryMs = 15_000;

/** Limits warnings: silence would be worse, and so would a line for each attempt. */
function warnAtTimes(onWarning: (message: string) => void): (error: AppError) => void {
  let nextMs = 0;
  return (error) => {
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + warnEveryMs;
    onWarning(`${error.message}. Trying again.`);
  };
}
