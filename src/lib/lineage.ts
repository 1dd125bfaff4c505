import { createHash } from 'node:crypto';

/** The lineage of a volume that was given no other: the same whatever its machine is called. */
export function deriveLineage(hostIdentity: string, name: string): string {
  return createHash('sha256').update(`${hostIdentity}\0${name}`).digest('hex').slice(0, 32);
}
