import { AppError } from '../../../model/errors.ts';
import { cancelled, unavailable } from '../store-errors.ts';

/** Why a request brought no answer. */
export function connectionError(location: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && error.name === 'AbortError') return cancelled(error);
  const code = codeOf(error);
  if (isCertificateProblem(code)) return untrusted(location, error);
  if (code === 'EPROTO') return noCommonTls(location, error);
  return unavailable(
    location,
    words[code] ?? (error instanceof Error ? error.message : String(error)),
    error,
  );
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
