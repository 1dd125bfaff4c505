import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Catalog } from '../../../src/catalog/catalog.ts';
import { openSqliteCatalog } from '../../../src/catalog/sqlite-catalog.ts';
import { openDrivers } from '../../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../../src/volumes/managed/managed-host.ts';
import type { ManagedVolumes } from '../../../src/volumes/managed/managed-volumes.ts';

/** On the persistent disk. */
export const stateDir = '/disk/state';

/** The keys of the volume "erased", as a user might have copied them. */
export const saved = ['/disk/saved-key.json', '/disk/saved-volumes.key'] as const;

export const luks = { size: '40m' };
export const known = 'KNOWN PLAINTEXT THAT MUST BE NOWHERE '.repeat(4000);

export async function openManaged(): Promise<{ managed: ManagedVolumes; catalog: Catalog }> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  const drivers = openDrivers({ stateDir, secret: async () => new Uint8Array() });
  const { managed } = await openManagedHost({ stateDir, catalog, drivers });
  return { managed, catalog };
}
