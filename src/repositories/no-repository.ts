import path from 'node:path';
import { namesIn } from '../lib/folder-names.ts';
import { AppError } from '../model/errors.ts';

/** The error when no repository is known. Key files without one suggest that the catalog was lost. */
export async function noRepository(stateDir: string): Promise<AppError> {
  const keys = await repositoryKeys(stateDir);
  if (keys.length === 0) {
    return new AppError('not-found', 'There is no repository yet', {
      hint: 'Make one with "holdfast init", or name one with --repo.',
    });
  }
  return new AppError(
    'not-found',
    'No repository is known, though there are keys of some: the catalog was lost',
    {
      detail: 'Where they are is not known any more. Nothing of what they hold is lost.',
      hint: takeOver(stateDir, keys),
    },
  );
}

/** File names of repositories' keys; the key of managed volumes lies in the same folder. */
export async function repositoryKeys(stateDir: string): Promise<string[]> {
  const names = await namesIn(path.join(stateDir, 'keys'));
  return names.filter((name) => name.endsWith('.key') && name !== 'volumes.key');
}

/** How to name repositories again whose keys still exist. */
export function takeOver(stateDir: string, keys: readonly string[]): string {
  const commands = keys.map(
    (name) => `holdfast init --repo LOCATION --password-file ${path.join(stateDir, 'keys', name)}`,
  );
  return `Take each over again: ${commands.join('; ')}`;
}
