import { AppError, errorMessage } from '../../../model/errors.ts';
import type { Room } from '../../lib/room.ts';
import { cancelled, cutRange, tooShort, unavailable } from '../store-errors.ts';
import type { ByteRange, Pace, StoreTimes } from '../store.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Path and query, as sent in the request. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pace?: Pace | undefined;
  /** Where the body of a successful response may be put. */
  readonly room?: Room | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/**
 * Sends requests to a server. Any response is returned; without one it throws `unavailable`, or `denied` when
 * the server cannot prove its identity.
 */
export interface HttpTransport extends AsyncDisposable {
  request(request: HttpRequest): Promise<HttpResponse>;
}

/** The server's clock and the file's time of writing, from the response to a request for a file. */
export function answerTimes({ headers }: HttpResponse, location: string): StoreTimes {
  const nowMs = Date.parse(headers['date'] ?? '');
  const writtenMs = Date.parse(headers['last-modified'] ?? '');
  if (!Number.isNaN(nowMs)) return { nowMs, writtenMs: Number.isNaN(writtenMs) ? undefined : writtenMs };
  throw new AppError('unsupported', `The server of repository "${location}" does not tell the time`);
}

interface WantedContent {
  /** Undefined for the whole file. */
  readonly range: ByteRange | undefined;
  readonly location: string;
  /** The file, for messages. */
  readonly label: string;
  /** The error for an unsuccessful response. */
  readonly explain: (response: HttpResponse) => AppError;
}

/** The header that asks for a range, which must not be empty: HTTP has no empty range. */
export function rangeHeaders(range: ByteRange | undefined): Record<string, string> {
  return range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

/** The content from the response to a request for an existing file. */
export function loadedContent(response: HttpResponse, wanted: WantedContent): Buffer {
  const { range, location, label, explain } = wanted;
  if (response.status === 416) throw tooShort(location, label);
  if (response.status !== 200 && response.status !== 206) throw explain(response);
  if (!range) return response.body;
  // A server without ranges sends the whole file.
  const cut = cutRange(response.body, range, response.status === 206 ? range.offset : 0);
  if (!cut) throw tooShort(location, label);
  return cut;
}

/** Why a request got no response. */
export function connectionError(location: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && error.name === 'AbortError') return cancelled(error);
  const code = codeOf(error);
  if (isCertificateProblem(code)) return untrusted(location, error);
  if (code === 'EPROTO') return noCommonTls(location, error);
  return unavailable(location, words[code] ?? errorMessage(error), error);
}

/** True for a server certificate of an unknown authority. */
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

/** The two ends have no TLS version in common, which retrying does not change. */
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

/** Node.js turns OpenSSL's certificate errors into codes without a common prefix. */
function isCertificateProblem(code: string): boolean {
  return (
    code.startsWith('ERR_TLS_CERT') ||
    /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)/.test(
      code,
    )
  );
}

function codeOf(error: unknown): string {
  // One error for each address of the name; they say much the same.
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
