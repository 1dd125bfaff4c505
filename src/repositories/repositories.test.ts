import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../catalog/catalog.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { AppError } from '../model/errors.ts';
import { checkRepositories } from './repositories.ts';
import type { ConfiguredRepository } from './with-configured.ts';

let stateDir: string;
let catalog: Catalog;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'repositories-'));
  catalog = openSqliteCatalog(':memory:');
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(stateDir, { recursive: true });
});

const location = 'rclone:b2:x';
const reached = new AppError('unavailable', 'The store is reached');

/** The error for a repository that the catalog knows and the configuration describes like this. */
async function errorOf(said: Partial<ConfiguredRepository> | undefined): Promise<unknown> {
  const repositories = new Map(
    said === undefined
      ? []
      : [['off', { location, passwordReference: undefined, options: undefined, ...said }]],
  );
  const fail = (): Promise<never> => Promise.reject(reached);
  const [state] = await checkRepositories(
    {
      stateDir,
      env: { THERE: 'secret' },
      catalog: async () => catalog,
      configuration: async () => ({ repository: undefined, repositories }),
      maker: { has: fail, open: fail, init: fail },
    },
    [],
    {},
  );
  return state?.error;
}

test('a repository whose program the configuration names passes although other users can write to the state folder', async () => {
  const options = { 'config-file': '/etc/holdfast/rclone.conf' };
  catalog.saveRepository({
    ...{ name: 'off', location, repositoryId: 'x', isDefault: true },
    ...{ options, passwordReference: 'env:THERE' },
  });
  chmodSync(stateDir, 0o777);
  expect(await errorOf({ options })).toBe(reached);
  expect(await errorOf(undefined)).toMatchObject({ code: 'denied' });
});
