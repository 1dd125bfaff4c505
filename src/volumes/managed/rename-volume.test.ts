import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import { openDrivers } from '../../drivers/open-drivers.ts';
import { deriveLineage } from '../../lib/lineage.ts';
import type { Host } from '../../hosts/host.ts';
import type { ManagedVolumes } from './managed-volumes.ts';
import { openManagedHost } from './managed-host.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'holdfast-rename-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

async function openHost(catalog: Catalog): Promise<Host & { readonly managed: ManagedVolumes }> {
  const drivers = openDrivers({ stateDir, secret: async () => new Uint8Array() });
  return await openManagedHost({ stateDir, catalog, drivers });
}

/** As if the process was killed after that many writes of lineages and of the end of a rename. */
function killedAfter(catalog: Catalog, writes: number): Catalog {
  let left = writes;
  const dying = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (name === 'volumes') return dying(value as object);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const isWrite = name === 'setVolumeIdentity' || name === 'endRename';
          if (left < 0 || (isWrite && left-- === 0)) throw new Error('killed');
          return Reflect.apply(value, target, args);
        };
      },
    });
  return dying(catalog);
}

test.each([0, 1, 2, 3])(
  'a rename killed after %i of its last writes keeps the snapshots with the renamed volume only',
  async (writes) => {
    using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
    const lineageOf = (name: string): string =>
      catalog.volumeIdentity(catalog.stateId(), name) ?? deriveLineage(catalog.stateId(), name);
    const saved = lineageOf('pg');
    {
      await using host = await openHost(killedAfter(catalog, writes));
      await host.createVolume({ name: 'pg', driver: 'local', labels: {}, options: {} });
      await host.managed.rename('pg', 'old').catch(() => undefined);
    }
    await using host = await openHost(catalog);
    expect((await host.listVolumes()).map(({ name }) => name)).toEqual(['old']);
    await host.createVolume({ name: 'pg', driver: 'local', labels: {}, options: {} });
    expect(lineageOf('old')).toBe(saved);
    expect(lineageOf('pg')).not.toBe(saved);
  },
);
