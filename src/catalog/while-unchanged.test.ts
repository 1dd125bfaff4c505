import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from './sqlite-catalog.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'unchanged-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('a list is the same object until any process changes something, and never outdated', () => {
  const volume = { driver: 'local', createdAt: 'now', labels: {}, options: {}, anonymous: false };
  const path = join(folder, 'catalog.db');
  using own = openSqliteCatalog(path);
  using other = openSqliteCatalog(path);
  const names = (): string[] => own.listManagedVolumes().map(({ name }) => name);
  own.addManagedVolume({ ...volume, name: 'a' });
  const listed = own.listManagedVolumes();
  expect(own.listManagedVolumes()).toBe(listed);
  other.addManagedVolume({ ...volume, name: 'b' });
  expect(names()).toEqual(['a', 'b']);
  own.unsettled.add({ ...volume, name: 'c' }, 'boot');
  expect(names()).toEqual(['a', 'b', 'c']);
  other.volumes.update({ ...volume, name: 'c', labels: { tier: 'db' } });
  expect(own.listManagedVolumes().at(-1)?.labels).toEqual({ tier: 'db' });
  own.removeManagedVolume('a');
  other.removeManagedVolume('b');
  expect(names()).toEqual(['c']);
});
