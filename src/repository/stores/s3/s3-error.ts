import { AppError } from '../../../model/errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import { fullStore, ServerFault, unavailable } from '../store-errors.ts';
import { parseFault } from './s3-answers.ts';

/** What an answer means that is no good one. The caller knows what 404 means for it. */
export function s3Error(location: string, response: HttpResponse): AppError {
  const { status } = response;
  const { code, message } = parseFault(response.body, response.headers);
  const words = code === '' ? `status ${status}` : message === '' ? code : `${code}: ${message}`;
  const cause = new ServerFault(words);
  if (code === 'NoSuchBucket')
    return new AppError('not-found', `The bucket of repository "${location}" does not exist`, { cause });
  if (fullCodes.has(code) || status === 507) return fullStore(location, cause);
  if (isOverload(status, code)) return unavailable(location, words);
  // Any other fault of the server may be gone the next time; one that is not is told soon.
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
