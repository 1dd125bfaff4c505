import { expect, test } from 'vitest';
import { PreparedDatabase } from './open-database.ts';

test('a statement is prepared once, and sees a table that has changed since', () => {
  using opened = open();
  const { database } = opened;
  const insert = database.prepare('INSERT INTO volume VALUES (?)');
  insert.run('pg');
  expect(database.prepare('INSERT INTO volume VALUES (?)')).toBe(insert);
  const select = database.prepare('SELECT * FROM volume');
  expect(select.all()).toEqual([{ name: 'pg' }]);
  database.exec("ALTER TABLE volume ADD COLUMN driver TEXT NOT NULL DEFAULT 'local'");
  expect(database.prepare('SELECT * FROM volume').all()).toEqual([{ name: 'pg', driver: 'local' }]);
});

test('texts without end are not kept without end', () => {
  using opened = open();
  const { database } = opened;
  const first = database.prepare('SELECT 0');
  for (let number = 1; number <= 200; number++) database.prepare(`SELECT ${number}`).get();
  expect(database.prepare('SELECT 0')).not.toBe(first);
  expect(first.get()).toEqual({ '0': 0 });
});

function open(): Disposable & { readonly database: PreparedDatabase } {
  const database = new PreparedDatabase(':memory:');
  database.exec('CREATE TABLE volume (name TEXT NOT NULL)');
  return { database, [Symbol.dispose]: () => database.close() };
}
