import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { copyFile, keepCatalogCopy, readCatalogCopy } from './catalog-copy.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'catalog-copy-'));
  return () => rmSync(stateDir, { recursive: true });
});

test.each(['', '{"stateId":', '[]'])('a copy that is broken, as "%s" is, is written anew', async (broken) => {
  writeFileSync(copyFile(stateDir), broken);
  using catalog = openSqliteCatalog(':memory:');
  catalog.setVolumeIdentity('engine', 'pg', 'lineage');
  await keepCatalogCopy(stateDir, catalog);
  expect((await readCatalogCopy(stateDir))?.identities).toEqual([
    { hostIdentity: 'engine', name: 'pg', identity: 'lineage' },
  ]);
});
