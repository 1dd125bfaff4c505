import { AppError } from '../../model/errors.ts';
import type { Session } from './session.ts';

/**
 * Throws for a command that works through several things: the only error itself; "partly done" when `succeeded` others
 * went well; else the first error after all the others were shown. Nothing for no errors.
 */
export function failAll(session: Session, errors: readonly AppError[], succeeded: number): void {
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1 && succeeded === 0) throw first;
  for (const error of errors.slice(succeeded === 0 ? 1 : 0)) session.showError(error);
  if (succeeded === 0) throw first;
  throw new AppError('partial', `Done: ${succeeded}, failed: ${errors.length}`);
}
