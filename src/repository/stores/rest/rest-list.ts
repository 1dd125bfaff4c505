import { AppError } from '../../../model/errors.ts';
import { isFileName } from '../layout.ts';
import type { StoredFile } from '../store.ts';

/** What a list of version 2 holds; names alone, for a server that knows version 1 only. */
export type RestList =
  | { readonly version: 2; readonly files: StoredFile[] }
  | { readonly version: 1; readonly names: string[] };

/** Reads a server's list of files. What is no file of a repository is left out. */
export function parseList(location: string, body: Buffer): RestList {
  const entries = parseArray(location, body);
  if (entries.every((entry) => typeof entry === 'string') && entries.length > 0)
    return { version: 1, names: entries.filter(isFileName) };
  const files: StoredFile[] = [];
  for (const entry of entries) {
    const { name, size } = (entry ?? {}) as { readonly name?: unknown; readonly size?: unknown };
    if (typeof name !== 'string' || !isFileName(name)) continue;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw strange(location);
    files.push({ name, sizeBytes: size });
  }
  return { version: 2, files };
}

function parseArray(location: string, body: Buffer): unknown[] {
  // Some servers say "nothing" so.
  const text = body.toString('utf8').trim();
  if (text === '' || text === 'null') return [];
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed)) return parsed;
  } catch (error) {
    throw strange(location, error);
  }
  throw strange(location);
}

function strange(location: string, cause?: unknown): AppError {
  return new AppError(
    'failed',
    `The server of repository "${location}" does not answer as a restic REST server`,
    {
      hint: 'Look at the address: it may lead to another kind of server.',
      cause,
    },
  );
}
