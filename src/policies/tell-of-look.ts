import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Happening } from '../activity/index.ts';

/** The subject of a failure to list volumes. */
export const allVolumes = 'all volumes';

/** Reports that policies cannot see the volumes, or see them again. Pure. */
export function happeningOfHost(failure: AppError | undefined, policy?: string): Happening {
  const about = { work: 'schedule', subject: allVolumes, policy } as const;
  if (failure === undefined)
    return { ...about, what: 'good', onlyRecovery: true, message: 'The volumes can be listed again' };
  const { code, message, detail, hint } = failure;
  return { ...about, what: 'failed', fingerprint: code, message, detail, hint };
}

/**
 * Reports that a policy could not be run at all, by hand or by a timer whose messages go nowhere; or that it
 * could. Pure.
 */
export function happeningOfRun(policy: string, failure: AppError | undefined): Happening {
  const about = { work: 'schedule', subject: policy, policy } as const;
  if (failure === undefined)
    return { ...about, what: 'good', onlyRecovery: true, message: `The policy ${quote(policy)} runs again` };
  const { code, message, detail, hint } = failure;
  return { ...about, what: 'failed', fingerprint: code, message, detail, hint };
}

/** Reports that the configuration file is unusable, or usable again. Pure. */
export function happeningOfConfiguration(problem: AppError | undefined): Happening {
  const about = { work: 'schedule', subject: 'the configuration' } as const;
  if (problem === undefined)
    return { ...about, what: 'good', onlyRecovery: true, message: 'The configuration can be used again' };
  const { code, message, detail } = problem;
  return {
    ...about,
    what: 'failed',
    fingerprint: code,
    message: `${message}; the one before stays in force`,
    detail,
    hint: '"holdfast config check" says whether it is right again; then reload the daemon.',
  };
}
