import { quote } from '../model/quote.ts';
import type { Happening } from '../activity/notify/notifier.ts';
import type { Protection } from '../activity/protection.ts';
import type { RecoveredJob } from './recover.ts';

/** Tells by the channels which containers stay stopped, and when they are back. Never throws: it is noted as well. */
export async function tellOfRecovery(
  parts: Pick<Protection, 'notifier'>,
  jobs: readonly RecoveredJob[],
): Promise<void> {
  if (jobs.length === 0) return;
  try {
    (await parts.notifier()).tell(jobs.map(happeningOf));
  } catch {
    // A configuration that cannot be read, as a rule.
  }
}

function happeningOf({ reason, containers, error }: RecoveredJob): Happening {
  const about = { work: 'recovery', subject: containers.join(', ') || 'an interrupted job' } as const;
  if (error === undefined)
    return { ...about, what: 'good', onlyRecovery: true, message: 'All runs again that ran before' };
  return {
    ...about,
    what: 'failed',
    fingerprint: 'left-stopped',
    message: `A job that was to ${reason} was interrupted, and ${containers.map(quote).join(', ') || 'what it had stopped'} cannot be brought back`,
    detail: error,
    hint: 'Mend what is named; then "holdfast recover" brings them back.',
  };
}
