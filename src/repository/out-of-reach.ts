import type { AppError } from '../model/errors.ts';

/** True for an error that says nothing of what is stored: it can't be looked at now, and is no damage for that. */
export function isOutOfReach({ code }: AppError): boolean {
  return code === 'unavailable' || code === 'denied' || code === 'cancelled';
}
