import { hostname as thisHostname } from 'node:os';
import type { Catalog } from '../catalog/catalog.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** Tells this machine's snapshots from those of others that share its repository. */
export type OwnTest = (snapshot: Pick<Snapshot, 'volume' | 'hostname'>) => boolean;

/**
 * Own are snapshots saved by this state folder or of its host's volumes, and those taken over; of other
 * programs, those with this machine's name. Another machine's snapshots of a shared lineage stay that
 * machine's: a restore by an earlier version made both continue it. `hostIdentity` is undefined when the host
 * does not answer.
 */
export function ownTest(catalog: Catalog, hostIdentity: string | undefined): OwnTest {
  const hosts = new Set([catalog.stateId(), ...(hostIdentity ? [hostIdentity] : [])]);
  const takenOver = new Set(catalog.listTakenOver());
  return ({ volume, hostname }) =>
    volume === undefined
      ? hostname === thisHostname()
      : hosts.has(volume.host.identity) || takenOver.has(volume.identity);
}
