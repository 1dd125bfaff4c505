import type { Catalog } from '../catalog/catalog.ts';
import { deriveLineage } from '../lib/lineage.ts';

/**
 * What the snapshots of one volume share, whatever its machine is called: the lineage that the catalog knows (a volume
 * that was restored goes on in the lineage of its snapshot), else one derived from the host's identity and the name.
 */
export function volumeIdentity(
  catalog: Catalog,
  volume: { readonly hostIdentity: string; readonly name: string },
): string {
  return (
    catalog.volumeIdentity(volume.hostIdentity, volume.name) ??
    deriveLineage(volume.hostIdentity, volume.name)
  );
}

/** The same for a directory that is backed up by its path. */
export function pathIdentity(catalog: Catalog, absolutePath: string): string {
  return deriveLineage(catalog.stateId(), `path:${absolutePath}`);
}
