import type { AppError } from '../model/errors.ts';
import type { SubjectOutcome } from './work.ts';

/** The outcome of a subject of which nothing was saved. */
export function failedOutcome(identity: string, error: AppError): SubjectOutcome {
  return {
    identity,
    outcome: error.code === 'cancelled' ? 'cancelled' : 'failed',
    snapshotId: undefined,
    repositoryId: undefined,
    anomalies: [],
    error,
  };
}
