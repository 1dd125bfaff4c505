import type { AppError } from '../model/errors.ts';
import type { BackupOutcome } from './backup-types.ts';
import type { BackupTarget } from '../volumes/index.ts';

/** What became of a target of which nothing was saved. */
export function failedBackup(target: BackupTarget, error: AppError): BackupOutcome {
  return {
    kind: target.kind,
    name: target.name,
    outcome: error.code === 'cancelled' ? 'cancelled' : 'failed',
    snapshot: undefined,
    summary: undefined,
    grade: undefined,
    gradeReason: undefined,
    problems: [],
    limits: [],
    error,
  };
}
