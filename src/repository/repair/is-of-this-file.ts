import type { AppError } from '../../model/errors.ts';

/** True for what is wrong with one file only. Anything else, such as a store that does not answer, ends the work: nothing may be taken for lost because of it. */
export function isOfThisFile({ code }: AppError): boolean {
  return code === 'integrity' || code === 'not-found' || code === 'failed';
}
