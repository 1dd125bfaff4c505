import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { openBorrowedCatalog } from './borrowed-catalog.ts';
import { keepCatalogCopy } from './catalog-copy.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'borrowed-'));
  return () => rmSync(stateDir, { recursive: true });
});

test('a copy has the last commit, keeps its own writes to itself, and is removed afterwards', async () => {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  catalog.setVolumeIdentity('host', 'pg', 'before');
  const opened = new AsyncDisposableStack();
  const borrowed = await openBorrowedCatalog(stateDir, opened);
  expect(borrowed.stateId()).toBe(catalog.stateId());
  expect(borrowed.volumeIdentity('host', 'pg')).toBe('before');
  borrowed.setVolumeIdentity('host', 'pg', 'after');
  await opened.disposeAsync();
  expect(catalog.volumeIdentity('host', 'pg')).toBe('before');
});

test('without a catalog that can be copied, it holds the copy of the essentials', async () => {
  const file = join(stateDir, 'catalog.db');
  {
    using catalog = openSqliteCatalog(file);
    catalog.setVolumeIdentity('host', 'pg', 'kept');
    await keepCatalogCopy(stateDir, catalog);
  }
  rmSync(file);
  await using opened = new AsyncDisposableStack();
  const borrowed = await openBorrowedCatalog(stateDir, opened);
  expect(borrowed.volumeIdentity('host', 'pg')).toBe('kept');
  expect(existsSync(file)).toBe(false);
});
