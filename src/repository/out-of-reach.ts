import type { AppError } from '../model/errors.ts';

/** True for an error that means the data cannot be read now, which is no damage. */
export function isOutOfReach({ code }: AppError): boolean {
  return code === 'unavailable' || code === 'denied' || code === 'cancelled';
}
