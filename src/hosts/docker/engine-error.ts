import { AppError, errnoOf, type ErrorCode, errorMessage } from '../../model/errors.ts';
import type { DockerEndpoint } from './endpoint.ts';

interface EngineRefusal {
  readonly status: number;
  /** The engine's own message. */
  readonly message: string;
}

/** Turns an engine's refusal into an error; `action` reads like `Cannot create volume "pg"`. */
export function refusalError(action: string, refusal: EngineRefusal): AppError {
  const detail = `The engine says: ${refusal.message || `status ${refusal.status}`}`;
  if (/HTTP request to an HTTPS server/i.test(refusal.message)) {
    return new AppError('unavailable', action, {
      detail,
      hint: 'This engine wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH.',
    });
  }
  return new AppError(codeOfRefusal(refusal), action, { detail });
}

function codeOfRefusal({ status, message }: EngineRefusal): ErrorCode {
  if (/no space left on device|disk quota exceeded/i.test(message)) return 'full';
  if (/read-only file system|marked read-only/i.test(message)) return 'read-only';
  if (/volume is in use|volume has active mounts/i.test(message)) return 'in-use';
  // Podman's message; Docker's engine responds with 404.
  if (/no volume plugin with name/i.test(message)) return 'unsupported';
  // Podman's as well, for the slower one of two creations; its status is 500.
  if (/volume already exists/i.test(message)) return 'conflict';
  switch (status) {
    case 400:
      return 'usage';
    case 401:
    case 403:
      return 'denied';
    case 404:
      return 'not-found';
    case 409:
      return 'conflict';
    case 501:
      return 'unsupported';
    case 502:
    case 503:
    case 504:
      return 'unavailable';
    default:
      return /permission denied|operation not permitted/i.test(message) ? 'denied' : 'failed';
  }
}

/** Turns a failure of the connection into an error that says how to get a connection. */
export function connectionError(endpoint: DockerEndpoint, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const { code, words, hint } = explain(endpoint, cause);
  const verb = code === 'denied' ? 'use' : 'reach';
  return new AppError(code, `Cannot ${verb} Docker at "${endpoint.address}": ${words}`, {
    hint,
    detail: errorMessage(cause),
    cause,
  });
}

interface Explanation {
  readonly code: ErrorCode;
  readonly words: string;
  readonly hint?: string;
}

const usualHint = 'Is the engine running? Start it, or set DOCKER_HOST to the engine that you mean.';

function explain(endpoint: DockerEndpoint, cause: unknown): Explanation {
  const startHint = endpoint.absenceHint ?? usualHint;
  if (cause instanceof SshError) {
    return {
      code: 'unavailable',
      words: cause.message,
      hint: 'Try the same host with "ssh" by hand: it must let you in without a question, and have the command "docker".',
    };
  }
  const errno = errnoOf(cause) ?? nodeCode(cause);
  const isUnix = endpoint.kind === 'unix';
  switch (errno) {
    case 'ENOENT':
      return { code: 'unavailable', words: isUnix ? 'no such socket' : 'no such file', hint: startHint };
    case 'ENOTSOCK':
      return { code: 'unavailable', words: 'it is not a socket', hint: startHint };
    case 'ECONNREFUSED':
      return {
        code: 'unavailable',
        words: isUnix ? 'nothing listens on the socket' : 'connection refused',
        hint: startHint,
      };
    case 'EACCES':
    case 'EPERM':
      return {
        code: 'denied',
        words: 'permission denied',
        hint: 'Run as root, or become a member of the group "docker" (usermod -aG docker NAME, then log in again).',
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        code: 'unavailable',
        words: 'the host name is unknown',
        hint: 'Look for a typo in DOCKER_HOST or the Docker context.',
      };
    case 'ETIMEDOUT':
      return { code: 'unavailable', words: 'it does not answer', hint: startHint };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return {
        code: 'unavailable',
        words: 'there is no way to the host',
        hint: 'Look at the network between here and there.',
      };
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        code: 'unavailable',
        words: 'the connection was cut',
        hint: 'Did the engine stop? Try again when it runs.',
      };
    default:
      return explainProtocol(errno);
  }
}

function explainProtocol(errno: string | undefined): Explanation {
  if (errno?.startsWith('HPE_') === true) {
    return {
      code: 'unavailable',
      words: 'what answers there does not speak HTTP',
      hint: 'If the engine wants TLS, set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH.',
    };
  }
  if (errno !== undefined && /^ERR_SSL_.*ALERT|^ERR_SSL_.*CERTIFICATE_REQUIRED/.test(errno)) {
    return {
      code: 'denied',
      words: 'the engine does not accept our certificate',
      hint: 'Look at cert.pem and key.pem in DOCKER_CERT_PATH.',
    };
  }
  if (errno !== undefined && /CERT|SELF_SIGNED|UNABLE_TO_|SSL|TLS/.test(errno)) {
    return {
      code: 'unavailable',
      words:
        /SSL|TLS/.test(errno) && !/CERT/.test(errno) ? 'TLS failed' : 'its certificate cannot be trusted',
      hint: 'Look at ca.pem in DOCKER_CERT_PATH, and at the host name that the certificate is for.',
    };
  }
  return { code: 'unavailable', words: 'the connection failed', hint: usualHint };
}

function nodeCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The reason of a failed ssh connection, in ssh's own words. */
export class SshError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SshError';
  }
}
