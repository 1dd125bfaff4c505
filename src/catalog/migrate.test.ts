import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { migrate } from './migrate.ts';
import { migrations } from './migrations.ts';

const options = { path: 'test.db', prepare: () => undefined };

test('each step runs once, and new ones only are run later', () => {
  const database = new DatabaseSync(':memory:');
  migrate(database, { ...options, steps: ['CREATE TABLE a (x)'] });
  migrate(database, { ...options, steps: ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)'] });
  migrate(database, { ...options, steps: ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)'] });
  expect(database.prepare('SELECT x FROM a').all()).toEqual([{ x: 1 }]);
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 2 });
  database.close();
});

test('a step that fails leaves the catalog at the version it had', () => {
  const database = new DatabaseSync(':memory:');
  migrate(database, { ...options, steps: ['CREATE TABLE a (x)'] });
  expect(() =>
    migrate(database, { ...options, steps: ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)', 'bogus'] }),
  ).toThrow('bogus');
  expect(database.prepare('SELECT count(*) AS n FROM a').get()).toEqual({ n: 0 });
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
  database.close();
});

test('a catalog that another makes between two looks at it is no database of another program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-'));
  try {
    for (let look = 1; look <= 4; look++) {
      const path = join(folder, `catalog-${look}.db`);
      using other = new DatabaseSync(path, { timeout: 0 });
      using database = new DatabaseSync(path);
      const prepare = database.prepare.bind(database);
      let looks = 0;
      database.prepare = (sql) => {
        if (++looks === look) tryToMigrate(other);
        return prepare(sql);
      };
      migrate(database, options);
      expect(looks).toBeGreaterThanOrEqual(look);
      expect(prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** It waits while the first one examines the database, and this one does not. */
function tryToMigrate(database: DatabaseSync): void {
  try {
    migrate(database, options);
  } catch (error) {
    expect(error).toMatchObject({ message: 'database is locked' });
  }
}

test('the steps that were released are as they were', () => {
  const database = new DatabaseSync(':memory:');
  migrate(database, options);
  const schema = database
    .prepare('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name')
    .all();
  expect(schema).toMatchSnapshot();
  expect(migrations).toHaveLength(12);
  database.close();
});
