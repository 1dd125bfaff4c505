import { AppError } from '../../model/errors.ts';
import type { Session } from './session.ts';

/**
 * For a command on several things. Throws the only error itself; "partly done" when `succeeded` others went
 * well; else the first error after the others are shown. An error that several things share is shown once.
 * Does nothing without errors.
 */
export function failAll(session: Session, errors: readonly AppError[], succeeded: number): void {
  const different = [
    ...new Map(errors.map((error) => [`${error.message}\n${error.detail}`, error])).values(),
  ];
  const [first] = different;
  if (first === undefined) return;
  for (const error of different.slice(succeeded === 0 ? 1 : 0)) session.showError(error);
  if (succeeded === 0) throw first;
  throw new AppError('partial', `Done: ${succeeded}, failed: ${errors.length}`);
}
