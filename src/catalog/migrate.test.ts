import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/migrations.ts';

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

test('the steps that were released are as they were', () => {
  const database = new DatabaseSync(':memory:');
  migrate(database, options);
  const schema = database
    .prepare('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name')
    .all();
  expect(schema).toMatchSnapshot();
  expect(migrations).toHaveLength(7);
  database.close();
});
