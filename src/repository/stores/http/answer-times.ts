import { AppError } from '../../../model/errors.ts';
import type { StoreTimes } from '../store.ts';
import type { HttpResponse } from './transport.ts';

/** What the answer to a request for a file says of the server's clock, and of when the file was written. */
export function answerTimes({ headers }: HttpResponse, location: string): StoreTimes {
  const nowMs = Date.parse(headers['date'] ?? '');
  const writtenMs = Date.parse(headers['last-modified'] ?? '');
  if (!Number.isNaN(nowMs)) return { nowMs, writtenMs: Number.isNaN(writtenMs) ? undefined : writtenMs };
  throw new AppError('unsupported', `The server of repository "${location}" does not tell the time`);
}
