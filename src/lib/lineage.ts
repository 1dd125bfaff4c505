import { createHash } from 'node:crypto';

/** The default lineage of a volume: the same whatever its machine is called. */
export function deriveLineage(hostIdentity: string, name: string): string {
  return createHash('sha256').update(`${hostIdentity}\0${name}`).digest('hex').slice(0, 32);
}
