import { AppError, type ErrorCode } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';

/** A refusal with the engine's message and status. */
export class ApiError extends AppError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(codes[status] ?? 'failed', message);
    this.status = status;
  }
}

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'usage',
  404: 'not-found',
  409: 'conflict',
  503: 'unavailable',
};

const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  usage: 400,
  unsupported: 400,
  'not-found': 404,
  exists: 409,
  conflict: 409,
  'in-use': 409,
  locked: 409,
  denied: 403,
  unavailable: 503,
};

/** The engine uses few statuses; for anything else it answers 500. */
export function statusOf(error: AppError): number {
  return error instanceof ApiError ? error.status : (statuses[error.code] ?? 500);
}

/** Prefixes the action as the engine does: `create pg: …`. */
export function prefixed(action: string, error: AppError): ApiError {
  return new ApiError(statusOf(error), `${action}: ${errorLine(error)}`);
}

export function pageNotFound(): ApiError {
  return new ApiError(404, 'page not found');
}
