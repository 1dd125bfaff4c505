import { isAppError } from '../model/errors.ts';
import type { LeaseClaim } from './lease.ts';
import type { JobOptions, Protection } from '../activity/protection.ts';

/** A volume of a host, or a directory. */
export interface ClaimedPlace {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  /** Whose volume it is; undefined is the host that answers. */
  readonly hostIdentity?: string | undefined;
}

/**
 * What keeps those away from a place who work from another state folder. Undefined for a directory, which belongs to one
 * state folder, for a volume of another host than the one that answers, and where none answers.
 */
export async function claimOf(
  parts: Pick<Protection, 'host'>,
  { kind, name, hostIdentity }: ClaimedPlace,
  { signal }: JobOptions,
): Promise<LeaseClaim | undefined> {
  if (kind === 'path') return undefined;
  try {
    const host = await parts.host();
    if (hostIdentity !== undefined && (await host.info({ signal })).identity !== hostIdentity)
      return undefined;
    return { host, what: `volume ${name}` };
  } catch (error) {
    if (isAppError(error, 'unavailable') || isAppError(error, 'denied')) return undefined;
    throw error;
  }
}
