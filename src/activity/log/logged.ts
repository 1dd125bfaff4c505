import { knownError } from '../../lib/known-error.ts';
import type { LogEvent } from '../../model/log-entry.ts';
import type { AuditLog } from './audit-log.ts';

export interface LoggedWork<T> {
  /** What is known before the work is done. */
  readonly event: Omit<LogEvent, 'outcome'>;
  readonly work: () => Promise<T>;
  /** What to log when the work succeeded: no events leave no trace. Default: the event itself, as good. */
  readonly done?: ((result: T) => readonly LogEvent[] | Promise<readonly LogEvent[]>) | undefined;
}

/** Does something and logs the outcome. A request that was wrong has done nothing, and is not logged. */
export async function logged<T>(log: AuditLog, { event, work, done }: LoggedWork<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const known = knownError(error);
    if (known.code !== 'usage' && known.code !== 'not-found') {
      const outcome = known.code === 'cancelled' ? 'cancelled' : 'failed';
      await log.record([{ ...event, outcome, message: known.message }]);
    }
    throw error;
  }
  await log.record(done === undefined ? [{ ...event, outcome: 'good' }] : await done(result));
  return result;
}
