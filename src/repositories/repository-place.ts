import path from 'node:path';
import { requireOwn } from '../lib/own-path.ts';
import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { namesProgram, parseLocation, type RepositoryAccess } from '../repository/index.ts';
import { readPassword } from '../lib/password.ts';
import { secretReader } from '../lib/secret.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a repository lies, and how its store is used. */
export interface RepositoryStore {
  readonly location: string;
  readonly options: Readonly<Record<string, string>> | undefined;
}

export interface AccessParts {
  readonly env: Environment;
  readonly stateDir: string;
  readonly signal?: AbortSignal | undefined;
  /** Told when the store cannot be reached and is tried again. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What it takes to reach a repository's store. Copies of what it holds are kept in the state folder. */
export function storeAccess(
  { location, options }: RepositoryStore,
  { env, stateDir, signal, onWarning }: AccessParts,
): Omit<RepositoryAccess, 'password'> {
  const cacheDir = path.join(stateDir, 'cache');
  const onRetry = onWarning && warnAtTimes(onWarning);
  return { location, options, env, readSecret: secretReader(env, { stateDir }), cacheDir, signal, onRetry };
}

/** Throws `denied` for a program that is to be run because a state folder says so which another user can write to. */
export async function refuseForeignProgram(
  { location, options = {} }: RepositoryStore,
  stateDir: string,
): Promise<void> {
  if (!namesProgram(parseLocation(location), options)) return;
  await requireOwn(stateDir, `Cannot run the program that the state folder names for ${quote(location)}`);
}

/** What it takes to open a repository, the password by its reference. */
export function repositoryAccess(
  store: RepositoryStore & { readonly passwordReference: string },
  parts: AccessParts,
): RepositoryAccess {
  const password = async (): Promise<Uint8Array> =>
    await readPassword(store.passwordReference, parts.env, parts);
  return { ...storeAccess(store, parts), password };
}

const warnEveryMs = 15_000;

/** Silence would be worse, and a line for each attempt too. */
function warnAtTimes(onWarning: (message: string) => void): (error: AppError) => void {
  let nextMs = 0;
  return (error) => {
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + warnEveryMs;
    onWarning(`${error.message}. Trying again.`);
  };
}
