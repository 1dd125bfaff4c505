import { AppError } from '../../../model/errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import { isFileName } from '../layout.ts';
import { fullStore, ServerFault, unavailable } from '../store-errors.ts';
import type { StoredFile } from '../store.ts';

/** The content of a list of version 2; names alone from a server that supports only version 1. */
type RestList =
  | { readonly version: 2; readonly files: StoredFile[] }
  | { readonly version: 1; readonly names: string[] };

/** Parses a server's list of files, without those that do not belong to a repository. */
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
  // Some servers return this for an empty list.
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

/** The error for a failed response. The caller handles 404, whose meaning it knows. */
export function restError(location: string, { status, headers, body }: HttpResponse): AppError {
  const said = body.subarray(0, 200).toString('utf8').trim().replaceAll(/\s+/g, ' ');
  const words = said === '' ? `status ${status}` : `status ${status}, "${said}"`;
  const cause = new ServerFault(words);
  if (status === 413 || status === 507) return fullStore(location, cause);
  if ([408, 429, 502, 503, 504].includes(status)) return unavailable(location, words);
  // Most server faults are temporary; one that is not is reported soon.
  if (status >= 500 && status !== 501) return unavailable(location, words, cause);
  if (status === 401) {
    return new AppError('denied', `Repository "${location}" does not know this user or password`, {
      hint: 'Set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD, or the repository\'s options "username" and "password".',
      cause,
    });
  }
  if (status === 403) {
    return new AppError('denied', `Repository "${location}" does not allow this: ${words}`, {
      hint: 'The server may be append-only, or keep this user to a folder of another name.',
      cause,
    });
  }
  if (status >= 300 && status < 400) {
    return new AppError('failed', `The server of repository "${location}" sends us elsewhere (${words})`, {
      hint: `It names "${headers['location'] ?? 'no other place'}": use that in the location, if you trust it.`,
      cause,
    });
  }
  if (status === 404) return new AppError('not-found', `There is no repository "${location}"`, { cause });
  return new AppError('failed', `The server of repository "${location}" refuses: ${words}`, { cause });
}
