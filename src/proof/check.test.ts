import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import type { CheckReport, Repository } from '../repository/index.ts';
import { checkAll } from './check.ts';

test('a check is remembered with the size that it has seen, and asks the repository for nothing else', async () => {
  using catalog = openSqliteCatalog(':memory:');
  const report: CheckReport = {
    ...{ snapshots: 0, packs: 2, blobs: 2, bytesRead: 0, packBytes: 300, errors: ['Pack "1" is missing'] },
    ...{ notes: [], damagedSnapshots: [], wholeSnapshots: [] },
  };
  const repository = { id: 'r', check: async () => report } as Partial<Repository> as Repository;
  expect(await checkAll({ repository, catalog }, { readDataPercent: 0 }, {})).toBe(report);
  expect(catalog.listRepositoryStates()).toMatchObject([
    { repositoryId: 'r', sizeBytes: 300, goodCheckAt: undefined, failedCheckAt: expect.any(String) },
  ]);
});
