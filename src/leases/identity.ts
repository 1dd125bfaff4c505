import type { Catalog } from '../catalog/catalog.ts';
import { deriveLineage } from '../lib/lineage.ts';

/**
 * What the snapshots of one volume share, whatever its machine is called: the lineage in the catalog (a
 * restored volume continues that of its snapshot), else one derived from the host's identity and the name.
 */
export function volumeIdentity(
  catalog: Catalog,
  volume: { readonly hostIdentity: string; readonly name: string },
): string {
  // Without it, all engines that report no identity would share their volumes.
  const hostIdentity = volume.hostIdentity || catalog.stateId();
  return catalog.volumeIdentity(hostIdentity, volume.name) ?? deriveLineage(hostIdentity, volume.name);
}

/** Like `volumeIdentity`, for a directory that is backed up by its path. */
export function pathIdentity(catalog: Catalog, absolutePath: string): string {
  const stateId = catalog.stateId();
  return catalog.volumeIdentity(stateId, absolutePath) ?? deriveLineage(stateId, `path:${absolutePath}`);
}
