import { AppError, errorMessage } from '../../../model/errors.ts';
import type { Room } from '../../lib/room.ts';
import { cancelled, cutRange, tooShort, unavailable } from '../store-errors.ts';
import type { ByteRange, Pace, StoreTimes } from '../store.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Path and query, as they stand in the request. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pace?: Pace | undefined;
  /** Where the body of a good answer may lie. */
  readonly room?: Room | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/**
 * How requests reach a server. Any answer is an answer; what brings none throws `unavailable`, or `denied` when the
 * server cannot show who it is.
 */
export interface HttpTransport extends AsyncDisposable {
  request(request: HttpRequest): Promise<HttpResponse>;
}

/** What the answer to a request for a file says of the server's clock, and of when the file was written. */
export function answerTimes({ headers }: HttpResponse, location: string): StoreTimes {
  const nowMs = Date.parse(headers['date'] ?? '');
  const writtenMs = Date.parse(headers['last-modified'] ?? '');
  if (!Number.isNaN(nowMs)) return { nowMs, writtenMs: Number.isNaN(writtenMs) ? undefined : writtenMs };
  throw new AppError('unsupported', `The server of repository "${location}" does not tell the time`);
}

interface WantedContent {
  /** Undefined is the whole file. */
  readonly range: ByteRange | undefined;
  readonly location: string;
  /** The file, for people. */
  readonly label: string;
  /** What an answer means that brings nothing. */
  readonly explain: (response: HttpResponse) => AppError;
}

/** The header that asks for a range, which is not empty: no range of HTTP is. */
export function rangeHeaders(range: ByteRange | undefined): Record<string, string> {
  return range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

/** What the answer to a request for a file that is there brings. */
export function loadedContent(response: HttpResponse, wanted: WantedContent): Buffer {
  const { range, location, label, explain } = wanted;
  if (response.status === 416) throw tooShort(location, label);
  if (response.status !== 200 && response.status !== 206) throw explain(response);
  if (!range) return response.body;
  // A server that knows no ranges sends it all.
  const cut = cutRange(response.body, range, response.status === 206 ? range.offset : 0);
  if (!cut) throw tooShort(location, label);
  return cut;
}

/** Why a request brought no answer. */
export function connectionError(location: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && error.name === 'AbortError') return cancelled(error);
  const code = codeOf(error);
  if (isCertificateProblem(code)) return untrusted(location, error);
  if (code === 'EPROTO') return noCommonTls(location, error);
  return unavailable(location, words[code] ?? errorMessage(error), error);
}

/** True for a server whose certificate is of an authority that we do not know. */
export function isUnknownAuthority(error: unknown): boolean {
  return /^(UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)/.test(
    codeOf(error),
  );
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'names cannot be resolved at the moment',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
};

function untrusted(location: string, error: unknown): AppError {
  return new AppError('denied', `Cannot trust the server of repository "${location}"`, {
    detail: error instanceof Error ? error.message : undefined,
    hint: 'If it has a certificate of your own authority, name that authority with the option "ca-file=/path/ca.pem".',
    cause: error,
  });
}

/** Waiting changes nothing about what the two ends speak. */
function noCommonTls(location: string, error: unknown): AppError {
  const said = error instanceof Error ? error.message.trim().replaceAll(/\s+/g, ' ') : undefined;
  const isPlain = /wrong version number|packet length too long/.test(said ?? '');
  return new AppError('failed', `Cannot speak TLS with the server of repository "${location}"`, {
    detail: said,
    hint: isPlain
      ? 'It seems to speak without TLS: write "http:" instead of "https:" if that is meant.'
      : undefined,
    cause: error,
  });
}

/** Node.js gives what OpenSSL says of a certificate as a code of its own, without a common start. */
function isCertificateProblem(code: string): boolean {
  return (
    code.startsWith('ERR_TLS_CERT') ||
    /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)/.test(
      code,
    )
  );
}

function codeOf(error: unknown): string {
  // One error for each address that a name has; they say much the same.
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
