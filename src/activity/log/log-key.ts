import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { makeKeyFile } from '../../lib/key-file.ts';
import { readTextIfThere } from '../../lib/read-text.ts';

export interface LogKey {
  readonly bytes: Uint8Array;
  readonly isNew: boolean;
}

/**
 * The key that signs the log, in the state folder's `keys/`; makes one when there is none. The caller holds
 * the log's lock.
 */
export async function readOrMakeLogKey(stateDir: string): Promise<LogKey> {
  const bytes = await readLogKey(stateDir);
  if (bytes !== undefined) return { bytes, isNew: false };
  const file = fileOf(stateDir);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await makeKeyFile(file);
  const made = await readLogKey(stateDir);
  if (made === undefined) throw new AppError('failed', `The key file ${quote(file)} has vanished`);
  return { bytes: made, isNew: true };
}

/** Undefined when there is none. */
export async function readLogKey(stateDir: string): Promise<Uint8Array | undefined> {
  const file = fileOf(stateDir);
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text.trim(), 'base64url');
  if (bytes.length >= 32) return bytes;
  throw new AppError('integrity', `The key of the log, ${quote(file)}, is damaged`, {
    hint: 'Bring it back from where you keep its copy, or move it aside: the log then goes on with a new one, and says so.',
  });
}

/** Cannot collide with a repository's key: those end with `.key`. */
function fileOf(stateDir: string): string {
  return path.join(stateDir, 'keys', 'log.secret');
}
