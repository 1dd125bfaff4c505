import { randomBytes } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from './durable-file.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/**
 * Creates a file with a key of 256 random bits, as text that can be printed and typed. `exists` when the file
 * exists.
 */
export async function makeKeyFile(file: string): Promise<void> {
  if (await exists(file)) {
    throw new AppError('exists', `Cannot make the key file ${quote(file)}: it is there already`, {
      hint: 'Choose another name, or use what is in it with --new-password-file.',
    });
  }
  try {
    await writeDurably(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  } catch (error) {
    const reason = errnoOf(error);
    if (reason === undefined) throw error;
    throw new AppError('failed', `Cannot make the key file ${quote(file)}: ${reason}`, { cause: error });
  }
}

/** The first free name in the state folder's `keys/` for another key of a repository. */
export async function freeKeyFile(stateDir: string, repositoryName: string): Promise<string> {
  const folder = path.join(stateDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const base = repositoryName.replace(/[^a-zA-Z0-9_.-]/g, '_');
  for (let count = 2; ; count++) {
    const file = path.join(folder, `${base}-${count}.key`);
    if (!(await exists(file))) return file;
  }
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}
