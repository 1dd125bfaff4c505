import type { Destination } from './choose-destination.ts';
import { pathIdentity, volumeIdentity } from './identity.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { RestorePlan } from './restore-plan.ts';

/** What the lease on a destination is taken on. */
export async function identityOf(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
): Promise<string> {
  const catalog = await parts.catalog();
  if (destination.kind === 'directory') return pathIdentity(catalog, destination.name);
  const hostIdentity = (await (await parts.host()).info({ signal: options.signal })).identity;
  return volumeIdentity(catalog, { hostIdentity, name: destination.name });
}

/** The data is restored: when this cannot be written down, it is said, and no more. */
export async function keepLineages(
  parts: Protection,
  plans: readonly RestorePlan[],
  options: JobOptions,
): Promise<void> {
  try {
    for (const plan of plans) await keepLineage(parts, plan, options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    options.onNote?.(`The data is restored; that it goes on with the snapshots before is not noted: ${why}`);
  }
}

/** A volume that was brought back as a whole goes on in the lineage of its snapshots. A copy under another name has its own. */
async function keepLineage(parts: Protection, plan: RestorePlan, options: JobOptions): Promise<void> {
  const recorded = plan.snapshot.volume;
  if (plan.path !== '' || plan.destination.kind === 'directory') return;
  if (recorded?.kind !== 'volume' || recorded.name !== plan.destination.name) return;
  const { identity } = await (await parts.host()).info({ signal: options.signal });
  (await parts.catalog()).setVolumeIdentity(identity, recorded.name, recorded.identity);
}
