import type { Snapshot } from '../model/snapshot.ts';
import type { Protection } from '../activity/index.ts';

/** Tells the snapshots that are this machine's from those of others that share its repository. */
export type OwnTest = (snapshot: Pick<Snapshot, 'volume' | 'hostname'>) => boolean;

/**
 * Own is what this state folder or its host's volumes were saved as, and what was taken over; of what other programs made,
 * what bears this machine's name. What a lineage has of another machine is that machine's, though both go on in it: a
 * restore of earlier versions made it so. `hostIdentity` is undefined where the host does not answer.
 */
export async function ownTest(
  parts: Pick<Protection, 'catalog' | 'hostname'>,
  hostIdentity: string | undefined,
): Promise<OwnTest> {
  const catalog = await parts.catalog();
  const hosts = new Set([catalog.stateId(), ...(hostIdentity ? [hostIdentity] : [])]);
  const takenOver = new Set(catalog.listTakenOver());
  return ({ volume, hostname }) =>
    volume === undefined
      ? hostname === parts.hostname
      : hosts.has(volume.host.identity) || takenOver.has(volume.identity);
}
