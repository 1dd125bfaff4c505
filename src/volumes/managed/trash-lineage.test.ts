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
let catalog: Catalog;
let host: Host & { readonly managed: ManagedVolumes };
beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'holdfast-lineage-'));
  catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  host = await openHost(catalog);
});
afterEach(async () => {
  await host[Symbol.asyncDispose]();
  catalog[Symbol.dispose]();
  rmSync(stateDir, { recursive: true });
});

async function openHost(on: Catalog): Promise<typeof host> {
  const drivers = openDrivers({ stateDir, secret: async () => new Uint8Array() });
  return await openManagedHost({ stateDir, catalog: on, drivers });
}

async function create(name: string): Promise<void> {
  await host.createVolume({ name, driver: 'local', labels: {}, options: {} });
}

function lineageOf(name: string): string {
  return catalog.volumeIdentity(catalog.stateId(), name) ?? derived(name);
}

function derived(name: string): string {
  return deriveLineage(catalog.stateId(), name);
}

test('a volume restored under another name keeps its snapshots, and the next volume of its name is another', async () => {
  await create('pg');
  await host.managed.remove('pg');
  await host.managed.restoreTrash('pg', { to: 'moved' });
  expect(lineageOf('moved')).toBe(derived('pg'));
  const second = lineageOf('pg');
  expect(second).not.toBe(derived('pg'));
  await create('pg');
  await host.managed.remove('pg');
  await host.managed.restoreTrash('pg', { to: 'moved-too' });
  expect(lineageOf('moved-too')).toBe(second);
  expect([derived('pg'), second]).not.toContain(lineageOf('pg'));
});

test('its snapshots stay with the name when it is restored under that, or a volume here or in the trash has it', async () => {
  await create('pg');
  await host.managed.remove('pg');
  await host.managed.restoreTrash('pg');
  expect(lineageOf('pg')).toBe(derived('pg'));
  await host.managed.remove('pg');
  await create('pg');
  await host.managed.restoreTrash('pg', { to: 'beside' });
  expect([lineageOf('pg'), lineageOf('beside')]).toEqual([derived('pg'), derived('beside')]);
  await host.managed.remove('pg');
  await create('pg');
  await host.managed.remove('pg');
  await host.managed.restoreTrash('pg', { to: 'newest' });
  expect([lineageOf('pg'), lineageOf('newest')]).toEqual([derived('pg'), derived('newest')]);
});

test.each(['moveVolumeIdentity', 'addManagedVolume'] as const)(
  'goes on with its snapshots also after a kill at %s',
  async (call) => {
    await create('pg');
    await host.managed.remove('pg');
    const dying = new Proxy(catalog, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        if (key === call) throw new Error('Killed');
        return value.bind(target) as unknown;
      },
    });
    {
      await using other = await openHost(dying);
      await expect(other.managed.restoreTrash('pg', { to: 'moved' })).rejects.toThrow('Killed');
    }
    expect(catalog.findManagedVolume('moved')).toBeUndefined();
    await using again = await openHost(catalog);
    expect((await again.managed.list()).map(({ name }) => name)).toEqual(['moved']);
    expect(lineageOf('moved')).toBe(derived('pg'));
    expect(lineageOf('pg')).not.toBe(derived('pg'));
  },
);
