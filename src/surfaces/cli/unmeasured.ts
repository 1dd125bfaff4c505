import type { VolumeFailure } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import type { Session } from './session.ts';

/**
 * Reports why volumes could not be measured, each reason once, and ends with "partly done". Does nothing
 * without failures.
 */
export function reportUnmeasured(session: Session, rows: readonly (VolumeFailure | object)[]): void {
  const failures = rows.filter((row): row is VolumeFailure => 'error' in row);
  const [first] = failures;
  if (first === undefined) return;
  if (rows.length === 1) throw first.error;
  for (const { error } of failures) session.showError(error);
  throw new AppError('partial', `Measured: ${rows.length - failures.length}, failed: ${failures.length}`);
}
