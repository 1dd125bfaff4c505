import { DatabaseSync } from 'node:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog, DrillRecord } from './catalog.ts';
import { openSqliteCatalog } from './sqlite-catalog.ts';

let folder: string;
let catalog: Catalog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'findings-'));
  catalog = openSqliteCatalog(join(folder, 'catalog.db'));
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

function count(table: string): unknown {
  using database = new DatabaseSync(join(folder, 'catalog.db'));
  return database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.['rows'];
}

function lookAtHost(identity: string, lookedAtMs: number): void {
  const name = { kind: 'volume', name: 'pg' } as const;
  const unknown = { lineage: undefined, stack: undefined, disk: undefined, problem: undefined };
  const disk = { capacityBytes: undefined, freeBytes: undefined, growthBytesPerDay: undefined };
  const size = { bytes: 1, files: 1, measuredAtMs: lookedAtMs, way: 'walked' } as const;
  const place = { ...name, driver: 'local', anonymous: false, ...unknown, ...disk, ...size };
  const sample = { ...name, spanSeconds: 60, bucketSeconds: 0, atSeconds: 1, bytes: 1 };
  catalog.usage.write({
    host: { identity, kind: 'docker', endpoint: 'ssh://far', lookedAtMs },
    ...{ places: [place], gone: [], samples: [sample], kept: [] },
  });
}

test('the sizes of twenty hosts are kept, and those of older ones go with their history', () => {
  for (let host = 0; host < 30; host += 1) lookAtHost(`h${host}`, 1000 + host);
  expect(catalog.usage.listHosts().map(({ identity }) => identity)).toEqual(
    Array.from({ length: 20 }, (_, index) => `h${29 - index}`),
  );
  expect([count('usage_host'), count('usage_place'), count('usage_sample')]).toEqual([20, 20, 20]);
  expect(catalog.usage.listPlaces('h0')).toEqual([]);
});

test('a host that is looked at by a clock that went back is kept', () => {
  for (let host = 0; host < 25; host += 1) lookAtHost(`h${host}`, 1000 + host);
  lookAtHost('now', 1);
  expect(catalog.usage.listHosts().map(({ identity }) => identity)).toContain('now');
  expect(catalog.usage.listHosts()).toHaveLength(20);
});

test('drills of removed volumes go when there are ten thousand newer ones', () => {
  {
    using database = new DatabaseSync(join(folder, 'catalog.db'));
    database.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 10499)
      INSERT INTO drill SELECT 'v' || i, 'proven', 's', '2026-01-01T00:00:00Z', printf('2026-01-01T%05d', i), NULL FROM n`);
  }
  const drill: DrillRecord = {
    ...{ volumeIdentity: 'new', outcome: 'failed', snapshotId: 's', recoverMs: undefined },
    ...{ snapshotTime: '2020-01-01T00:00:00Z', drilledAt: '2020-01-01T00:00:00Z' },
  };
  catalog.usage.noteDrill(drill);
  const left = catalog.usage.listDrills();
  expect(left).toHaveLength(10_000);
  expect(left.map(({ volumeIdentity }) => volumeIdentity)).toContain('new');
  expect(left.at(-1)?.volumeIdentity).toBe('v10499');
});

test('each finding about a repository is kept until it is made anew', () => {
  catalog.noteRepository('r', { at: '2026-01-01T00:00:00Z', sizeBytes: 10, unusedBytes: 3 });
  catalog.noteRepository('r', { at: '2026-01-02T00:00:00Z', check: 'failed' });
  catalog.noteRepository('r', { at: '2026-01-03T00:00:00Z', check: 'good', sizeBytes: 12 });
  expect(catalog.listRepositoryStates()).toEqual([
    {
      repositoryId: 'r',
      ...{ sizeBytes: 12, sizeAt: '2026-01-03T00:00:00Z' },
      ...{ unusedBytes: 3, unusedAt: '2026-01-01T00:00:00Z' },
      ...{ goodCheckAt: '2026-01-03T00:00:00Z', failedCheckAt: '2026-01-02T00:00:00Z' },
    },
  ]);
});

test('a hundred repositories are remembered, and the one that was just seen', () => {
  for (let index = 0; index < 150; index += 1)
    catalog.noteRepository(`r${index}`, {
      at: `2026-01-01T00:${String(index).padStart(3, '0')}Z`,
      sizeBytes: index,
    });
  catalog.noteRepository('old clock', { at: '1970-01-01T00:00:00Z', sizeBytes: 1 });
  const known = catalog.listRepositoryStates().map(({ repositoryId }) => repositoryId);
  expect(known.length).toBeLessThanOrEqual(101);
  expect(known).toContain('old clock');
  expect(known).toContain('r149');
  expect(known).not.toContain('r0');
});
