import { AppError } from '../../../model/errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import { fullStore, ServerFault, unavailable } from '../store-errors.ts';

/** The content of an S3 error response. */
interface S3Fault {
  /** `NoSuchKey`, `SlowDown`, …; '' for a response without a body. */
  readonly code: string;
  readonly message: string;
  /** The bucket's region, when the request went to another. */
  readonly region: string | undefined;
}

export interface S3Object {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number | undefined;
}

export interface S3Page {
  readonly objects: readonly S3Object[];
  /** The common prefixes of the keys, up to a delimiter. */
  readonly prefixes: readonly string[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

interface S3Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiated: string;
}

export function parseFault(body: Buffer, headers: Readonly<Record<string, string | undefined>>): S3Fault {
  const text = body.subarray(0, 65_536).toString('utf8');
  return {
    code: textOf(text, 'Code') ?? '',
    message: textOf(text, 'Message') ?? '',
    region: textOf(text, 'Region') ?? headers['x-amz-bucket-region'],
  };
}

/**
 * A page of `ListObjectsV2` with `encoding-type=url`; undefined for any other response. A truncated list
 * would make stored files look missing.
 */
export function parsePage(body: Buffer): S3Page | undefined {
  const text = body.toString('utf8');
  // A truncated page lacks its end tag.
  if (!/<ListBucketResult[\s>]/.test(text) || !/<\/ListBucketResult>\s*$/.test(text)) return undefined;
  const isTruncated = textOf(text, 'IsTruncated')?.trim();
  if (isTruncated !== 'true' && isTruncated !== 'false') return undefined;
  const objects = elements(text, 'Contents').map((element) => ({
    key: decodeKey(textOf(element, 'Key') ?? ''),
    sizeBytes: Number(textOf(element, 'Size') ?? Number.NaN),
    modifiedMs: timeOf(textOf(element, 'LastModified')),
  }));
  if (!objects.every(({ sizeBytes }) => Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)) return undefined;
  const prefixes = elements(text, 'CommonPrefixes').map((element) =>
    decodeKey(textOf(element, 'Prefix') ?? ''),
  );
  const next = textOf(text, 'NextContinuationToken');
  if (isTruncated === 'false') return { objects, prefixes, next: undefined };
  return next === undefined ? undefined : { objects, prefixes, next };
}

export function parseUploads(body: Buffer): S3Upload[] {
  return elements(body.toString('utf8'), 'Upload').map((element) => ({
    key: decodeKey(textOf(element, 'Key') ?? ''),
    uploadId: textOf(element, 'UploadId') ?? '',
    initiated: textOf(element, 'Initiated') ?? '',
  }));
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}

/** The text of the first element of that name without child elements. */
export function textOf(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}(?:\\s[^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];
  return found === undefined ? undefined : decodeEntities(found);
}

function elements(xml: string, name: string): string[] {
  return Array.from(xml.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs')), ([, inside]) => inside ?? '');
}

/** Keys that are not UTF-8 are not ours; they keep their escapes and match nothing. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|[a-z]+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities[name] ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** The error for a failed response. The caller handles 404, whose meaning it knows. */
export function s3Error(location: string, response: HttpResponse): AppError {
  const { status } = response;
  const { code, message } = parseFault(response.body, response.headers);
  const words = code === '' ? `status ${status}` : message === '' ? code : `${code}: ${message}`;
  const cause = new ServerFault(words);
  if (code === 'NoSuchBucket')
    return new AppError('not-found', `The bucket of repository "${location}" does not exist`, { cause });
  if (fullCodes.has(code) || status === 507) return fullStore(location, cause);
  if (isOverload(status, code)) return unavailable(location, words);
  // Most server faults are temporary; one that is not is reported soon.
  if (status >= 500 && status !== 501) return unavailable(location, words, cause);
  if (status === 401 || status === 403 || hints[code] !== undefined) return denied(location, code, words);
  if (status === 501 || code === 'NotImplemented')
    return new AppError(
      'unsupported',
      `The server of repository "${location}" does not support this: ${words}`,
      {
        cause,
      },
    );
  return new AppError('failed', `The server of repository "${location}" refuses: ${words}`, { cause });
}

const fullCodes: ReadonlySet<string> = new Set([
  'QuotaExceeded',
  'StorageFull',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'InsufficientCapacity',
  'TotalStorageCapacityExceeded',
]);

const passingCodes: ReadonlySet<string> = new Set([
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'ServiceUnavailable',
  'Throttling',
  'ThrottlingException',
  'RequestTimeout',
  'RequestLimitExceeded',
  'TooManyRequests',
  'OperationAborted',
]);

function isOverload(status: number, code: string): boolean {
  return [408, 429, 502, 503, 504].includes(status) || passingCodes.has(code);
}

const hints: Readonly<Record<string, string>> = {
  InvalidAccessKeyId:
    'The access key is not known there. Look at AWS_ACCESS_KEY_ID, or at the repository\'s "access-key-id".',
  SignatureDoesNotMatch:
    'The secret key does not fit the access key. Look at AWS_SECRET_ACCESS_KEY, or at the repository\'s "secret-access-key".',
  InvalidToken: 'The session token does not fit the access key. Look at AWS_SESSION_TOKEN.',
  ExpiredToken: 'The session token has expired: get a new one, and set AWS_SESSION_TOKEN anew.',
  RequestTimeTooSkewed: 'The clock of this machine is wrong: signatures of another time are not accepted.',
  AccessDenied: 'The key needs the rights to list the bucket, and to get, put and delete objects in it.',
};

function denied(location: string, code: string, words: string): AppError {
  return new AppError('denied', `Repository "${location}" denies access: ${words}`, {
    hint: hints[code] ?? hints['AccessDenied'],
  });
}
