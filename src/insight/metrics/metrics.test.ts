import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import { AppError } from '../../model/errors.ts';
import { openMetrics } from './metrics.ts';

const look = { atMs: 1_000_000, isHostSeen: true, subjects: [], tasks: [] };

test('a scrape tells what was seen while the catalog cannot be read', async () => {
  using catalog = openSqliteCatalog(':memory:');
  let asked = 0;
  const parts = {
    stateDir: '/nowhere',
    catalog: async () => {
      asked += 1;
      if (asked === 1) throw new AppError('locked', 'The catalog is locked');
      return catalog;
    },
  };
  const { onLook, text } = openMetrics(parts, { look: async () => look }).openExporter();
  onLook(look);
  const first = await text();
  expect(first).toContain('holdfast_look_timestamp_seconds 1000\n');
  expect(first).not.toContain('holdfast_catalog_read_timestamp_seconds');
  // The next reading would wait for it again, so it is not made at once.
  await text();
  expect(asked).toBe(1);
});

test('a host that does not show its volumes does not count as seen', async () => {
  using catalog = openSqliteCatalog(':memory:');
  const parts = { stateDir: '/nowhere', catalog: async () => catalog };
  const exporter = openMetrics(parts, { look: async () => look }).openExporter();
  exporter.onLook({ ...look, isHostSeen: false });
  expect(await exporter.text()).toContain('holdfast_look_timestamp_seconds 0\n');
  exporter.onLook(look);
  exporter.onLook({ ...look, atMs: 2_000_000, isHostSeen: false });
  expect(await exporter.text()).toContain('holdfast_look_timestamp_seconds 1000\n');
});

test('a scrape tells what has been read and written until then', async () => {
  using catalog = openSqliteCatalog(':memory:');
  const parts = { stateDir: '/nowhere', catalog: async () => catalog };
  let readBytes = 1;
  const total = { volume: 'pg', how: 'device', writtenBytes: 2, reads: 3, writes: 4 } as const;
  const { text } = openMetrics(parts, { look: async () => look }).openExporter(() => [
    { ...total, readBytes },
  ]);
  expect(await text()).toContain('_read_bytes_total{kind="volume",volume="pg",how="device"} 1\n');
  readBytes = 5;
  expect(await text()).toContain('_read_bytes_total{kind="volume",volume="pg",how="device"} 5\n');
});
