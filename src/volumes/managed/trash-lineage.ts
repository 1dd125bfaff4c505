import type { Catalog, EmbeddedVolumeRecord } from '../../catalog/catalog.ts';
import { deriveLineage } from '../../lib/lineage.ts';
import { removedFromLabel } from '../../model/removed-from-engine.ts';

interface ComingBack {
  readonly record: Pick<EmbeddedVolumeRecord, 'name' | 'labels'> & { readonly removedAt: string };
  readonly to: string;
  /** Names of what is in the trash still. */
  readonly inTrash: readonly string[];
}

/**
 * A volume that comes back from the trash under another name goes on with its snapshots, unless somebody else has its
 * former name, or is in the trash with it: then nobody can say whose they are, and they stay with that name. Whoever gets
 * that name next is another volume. May be repeated.
 */
export function carryLineage(catalog: Catalog, { record, to, inTrash }: ComingBack): void {
  const { name: from, removedAt } = record;
  // Its snapshots are those of the engine's volume.
  if (removedFromLabel in record.labels) return;
  if (catalog.findEmbeddedVolume(from) !== undefined || inTrash.includes(from)) return;
  const host = catalog.stateId();
  // Always the same for this removal: with it, all of this was done before a kill.
  const next = deriveLineage(host, `${from}\0after ${removedAt}`);
  const lineage = catalog.volumeIdentity(host, from) ?? deriveLineage(host, from);
  if (lineage === next) return;
  catalog.moveVolumeIdentity(host, { from, to, next });
}
