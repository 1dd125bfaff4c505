import { beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { volumeHold as hold, volumeRecord as volume } from '../fixtures/volume-record.ts';

/**
 * The contract of catalogs for volumes created or removed, and perhaps not durable yet. `current` returns the
 * catalog of a test, which is empty.
 */
export function testUnsettled(current: () => Catalog): void {
  let catalog: Catalog;

  beforeEach(() => {
    catalog = current();
  });

  test('a creation or removal is unsettled until exactly that one is settled', () => {
    const { unsettled } = catalog;
    expect(unsettled.add(volume, 'b1')).toBe(true);
    expect(unsettled.add(volume, 'b1')).toBe(false);
    const [made] = unsettled.list();
    expect(made).toMatchObject({ name: 'pg', boot: 'b1' });
    expect(unsettled.find('pg')).toEqual(made);
    const removal = { entry: 'pg.1', name: 'pg', folder: '12:34', mark: '{}', boot: 'b2' };
    catalog.volumes.hold(hold);
    expect(unsettled.beginRemoval(removal)).toBe(true);
    expect(unsettled.beginRemoval({ ...removal, entry: 'pg.2' })).toBe(false);
    expect(unsettled.listRemovals()).toEqual([{ ...removal, madeIn: 'b1' }]);
    expect(unsettled.listRemovals('pg')).toEqual(unsettled.listRemovals());
    expect([unsettled.listRemovals('p'), unsettled.listRemovals('pg.1')]).toEqual([[], []]);
    expect(catalog.listManagedVolumes()).toEqual([]);
    expect(catalog.volumes.listHolds('pg')).toEqual([]);
    unsettled.add(volume, 'b2');
    unsettled.settle(made === undefined ? [] : [made]);
    expect(unsettled.list()).toMatchObject([{ name: 'pg', boot: 'b2' }]);
    unsettled.settle(unsettled.list());
    unsettled.endRemovals(['pg.1', 'unknown']);
    expect([unsettled.list(), unsettled.listRemovals()]).toEqual([[], []]);
    expect(catalog.findManagedVolume('pg')).toEqual(volume);
  });

  test('only a record that has settled or is of this run, and is that of no later volume, goes without its folder', () => {
    const { unsettled } = catalog;
    const later = { ...volume, createdAt: '1999-01-01T00:00:00.000Z' };
    unsettled.add(volume, 'b1');
    for (const boot of ['b2', undefined]) unsettled.removeMissing(volume, boot);
    unsettled.removeMissing(later, 'b1');
    expect(catalog.findManagedVolume('pg')).toEqual(volume);
    unsettled.removeMissing(volume, 'b1');
    expect(catalog.findManagedVolume('pg')).toBeUndefined();
    unsettled.add(volume, 'b1');
    unsettled.settle(unsettled.list());
    unsettled.removeMissing(later, undefined);
    expect(catalog.findManagedVolume('pg')).toEqual(volume);
    unsettled.removeMissing(volume, undefined);
    expect(catalog.findManagedVolume('pg')).toBeUndefined();
  });

  test('a cancelled removal leaves the volume as settled as before', () => {
    const { unsettled } = catalog;
    const removal = { name: 'pg', folder: '12:34', mark: '{}', boot: 'b1' };
    unsettled.add(volume, 'b1');
    unsettled.beginRemoval({ ...removal, entry: 'pg.1' });
    unsettled.cancelRemoval('pg.1', volume);
    expect(unsettled.find('pg')).toMatchObject({ boot: 'b1' });
    unsettled.settle(unsettled.list());
    unsettled.beginRemoval({ ...removal, entry: 'pg.2' });
    unsettled.cancelRemoval('pg.2', volume);
    unsettled.cancelRemoval('unknown', { ...volume, name: 'web' });
    expect([unsettled.list(), unsettled.listRemovals()]).toEqual([[], []]);
    expect(catalog.listManagedVolumes()).toEqual([volume]);
    unsettled.sync();
  });
}
