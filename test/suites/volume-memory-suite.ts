import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { deriveLineage } from '../../src/lib/lineage.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { volumeHold as hold, volumeRecord as volume } from '../fixtures/volume-record.ts';

/** The contract of catalogs for managed volumes. `current` returns the catalog of a test, which is empty. */
export function testVolumeMemory(current: () => Catalog): void {
  let catalog: Catalog;

  beforeEach(() => {
    catalog = current();
  });

  test('embedded volumes are added once, found by their exact name, and listed by it', () => {
    expect(catalog.addManagedVolume(volume)).toBe(true);
    expect(catalog.addManagedVolume({ ...volume, driver: 'btrfs', labels: {} })).toBe(false);
    expect(catalog.addManagedVolume({ ...volume, name: 'Mail', anonymous: true })).toBe(true);
    expect(catalog.findManagedVolume('pg')).toEqual(volume);
    expect(catalog.findManagedVolume('PG')).toBeUndefined();
    expect(catalog.findManagedVolume('p%')).toBeUndefined();
    expect(catalog.listManagedVolumes().map(({ name }) => name)).toEqual(['Mail', 'pg']);
    catalog.removeManagedVolume('pg');
    catalog.removeManagedVolume('pg');
    expect(catalog.listManagedVolumes().map(({ name }) => name)).toEqual(['Mail']);
    expect(catalog.addManagedVolume(volume)).toBe(true);
  });

  test('labels and options of any text are preserved', () => {
    const texts = fc.string({ unit: 'grapheme' });
    const records = fc.dictionary(
      fc.oneof(texts, fc.constantFrom('__proto__', 'constructor', "'; DROP TABLE run")),
      texts,
    );
    fc.assert(
      fc.property(records, records, (labels, options) => {
        catalog.removeManagedVolume(volume.name);
        catalog.addManagedVolume({ ...volume, labels, options });
        const found = catalog.findManagedVolume(volume.name);
        expect(Object.entries(found?.labels ?? {})).toEqual(Object.entries(labels));
        expect(Object.entries(found?.options ?? {})).toEqual(Object.entries(options));
      }),
      { numRuns: 50 },
    );
  });

  test('the holds of a volume are a set of ids', () => {
    const { volumes } = catalog;
    volumes.hold(hold);
    volumes.hold({ ...hold, heldAt: '2026-01-31T12:00:01.000Z' });
    volumes.hold({ ...hold, id: 'c2' });
    volumes.hold({ ...hold, volume: 'web' });
    expect(volumes.listHolds('pg').map(({ id }) => id)).toEqual(['c2', 'c1']);
    expect(volumes.listHolds()).toHaveLength(3);
    volumes.release('pg', 'c2');
    volumes.release('pg', 'unknown');
    expect(volumes.listHolds('pg').map(({ id }) => id)).toEqual(['c1']);
  });

  test('labels and options of a volume can change, and a volume that is gone stays gone', () => {
    catalog.addManagedVolume(volume);
    const changed = { ...volume, labels: { tier: 'cache' }, options: { size: '2g' } };
    catalog.volumes.update(changed);
    catalog.volumes.update({ ...changed, name: 'gone' });
    expect(catalog.listManagedVolumes()).toEqual([changed]);
  });

  test('a rename takes the record and its protection along, and no name that is taken', () => {
    const { volumes } = catalog;
    catalog.addManagedVolume(volume);
    catalog.addManagedVolume({ ...volume, name: 'web' });
    volumes.setProtected('h1', 'pg', true);
    volumes.setProtected('h2', 'pg', true);
    expect(volumes.beginRename('pg', 'web')).toBe(false);
    expect(volumes.beginRename('pg', 'db')).toBe(true);
    expect(volumes.beginRename('web', 'db')).toBe(false);
    expect(volumes.listRenames()).toEqual([{ from: 'pg', to: 'db' }]);
    volumes.endRename('pg', 'h1');
    // Its lineage moves along, and the next volume of the former name has none of it.
    const lineage = deriveLineage('h1', 'pg');
    expect(catalog.volumeIdentity('h1', 'db')).toBe(lineage);
    expect(catalog.volumeIdentity('h1', 'pg')).toMatch(/^[0-9a-f]{32}$/);
    expect(catalog.volumeIdentity('h1', 'pg')).not.toBe(lineage);
    volumes.endRename('unknown', 'h1');
    expect(volumes.listRenames()).toEqual([]);
    expect(catalog.listManagedVolumes().map(({ name }) => name)).toEqual(['db', 'web']);
    expect(volumes.listProtected('h1')).toEqual(['db']);
    expect(volumes.isProtected('h1', 'pg')).toBe(false);
    expect(volumes.isProtected('h2', 'pg')).toBe(true);
    volumes.beginRename('web', 'site');
    volumes.cancelRename('web');
    expect(volumes.listRenames()).toEqual([]);
  });
}
