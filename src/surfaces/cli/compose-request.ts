import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { ComposeRequest } from '../../app/app.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Session } from './session.ts';

/** The flags of `docker compose` that choose a project. */
export interface ComposeFlags {
  readonly file?: readonly string[];
  readonly projectDirectory?: string;
  readonly projectName?: string;
  readonly profile?: readonly string[];
  readonly envFile?: readonly string[];
}

/** Files as arguments count as those of `--file`; a folder is where Compose would be started. */
export async function composeRequestOf(
  { config: { env } }: Session,
  flags: ComposeFlags,
  args: readonly string[],
): Promise<ComposeRequest> {
  const named = [...(flags.file ?? []), ...args];
  const request: ComposeRequest = {
    projectDirectory: absolute(flags.projectDirectory),
    envFiles: flags.envFile?.map((file) => path.resolve(file)),
    env,
    projectName: flags.projectName,
    profiles: flags.profile,
  };
  const folders: string[] = [];
  for (const name of named) if (await isFolder(name)) folders.push(name);
  const [folder] = folders;
  if (folder === undefined) return { ...request, files: named };
  if (named.length > 1)
    throw new AppError('usage', `${quote(folder)} is a folder, and has to be named alone`, {
      hint: 'Name its Compose files instead: later ones are merged into earlier ones.',
    });
  // What is named counts more than the file that the environment names for all folders.
  return { ...request, directory: path.resolve(folder), env: { ...env, COMPOSE_FILE: undefined } };
}

function absolute(name: string | undefined): string | undefined {
  return name === undefined ? undefined : path.resolve(name);
}

async function isFolder(name: string): Promise<boolean> {
  if (name === '-')
    throw new AppError('usage', 'A Compose file is not read from standard input', {
      hint: 'Name a file: what it says is relative to its folder.',
    });
  try {
    return (await stat(name)).isDirectory();
  } catch (error) {
    // All else is said when the file is opened.
    if (errnoOf(error) !== 'ENOENT') return false;
    throw new AppError('not-found', `There is no Compose file ${quote(name)}`, {
      cause: error,
      hint: 'Name a file or its folder; without a name it is looked for in the current folder and above it.',
    });
  }
}

/** What could not be looked at is said on standard error. */
export function warnOfUnseen(session: Session, unseen: readonly string[]): void {
  for (const sentence of unseen) session.note(sentence);
}
