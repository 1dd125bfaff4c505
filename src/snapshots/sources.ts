import type { Catalog } from '../catalog/catalog.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { Repository } from '../repository/index.ts';

/** Where snapshots are, and what tells whose they are. */
export interface SnapshotSources extends HostAccess {
  readonly repository: Repository;
  readonly catalog: Catalog;
}

/** The same, not opened yet. */
export interface SnapshotAccess extends HostAccess {
  readonly repository: () => Promise<Repository>;
  readonly catalog: () => Promise<Catalog>;
}

export async function openSources({ repository, catalog, host }: SnapshotAccess): Promise<SnapshotSources> {
  return { repository: await repository(), catalog: await catalog(), host };
}
