import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testCatalog } from '../../test/suites/catalog-suite.ts';
import { migrations } from './migrations.ts';
import { openSqliteCatalog } from './sqlite-catalog.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'catalog-'));
  path = join(folder, 'state', 'catalog.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('in a file', () => {
  let count = 0;
  testCatalog(() => openSqliteCatalog(join(folder, `${++count}.db`)));
});

describe('in memory', () => testCatalog(() => openSqliteCatalog(':memory:')));

test('written records are there when it is opened again', () => {
  let id: string;
  {
    using catalog = openSqliteCatalog(path);
    id = catalog.stateId();
    catalog.setVolumeIdentity('h', 'pg', 'i');
  }
  using again = openSqliteCatalog(path);
  expect(again.stateId()).toBe(id);
  expect(again.volumeIdentity('h', 'pg')).toBe('i');
});

test('no other user can read it, for any umask and previous mode', () => {
  const umask = process.umask(0);
  try {
    using _ = openSqliteCatalog(path);
    const modes = () =>
      readdirSync(join(folder, 'state')).map((name) => statSync(join(folder, 'state', name)).mode & 0o777);
    expect(statSync(join(folder, 'state')).mode & 0o777).toBe(0o700);
    expect(modes()).toEqual([0o600, 0o600, 0o600]);
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o644);
  using _ = openSqliteCatalog(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('every commit is durable: WAL with full synchronisation', () => {
  using _ = openSqliteCatalog(path);
  const database = new DatabaseSync(path);
  expect(database.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
  database.close();
});

test('a catalog of a newer Holdfast is refused, names both versions, and stays unchanged', () => {
  openSqliteCatalog(path)[Symbol.dispose]();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  const before = readFileSync(path);
  expect(() => openSqliteCatalog(path)).toThrow(
    expect.objectContaining({
      code: 'unsupported',
      message: `The catalog "${path}" has version 99, and this Holdfast knows none after ${migrations.length}`,
      hint: expect.stringContaining('newer'),
    }),
  );
  expect(readFileSync(path)).toEqual(before);
});

test('a database of another program is refused and stays unchanged', () => {
  mkdirSync(join(folder, 'state'));
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE mine (a)');
  database.close();
  const before = readFileSync(path);
  expect(() => openSqliteCatalog(path)).toThrow(
    expect.objectContaining({ code: 'integrity', message: expect.stringContaining('another program') }),
  );
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(join(folder, 'state'))).toEqual(['catalog.db']);
});

test('a file that is not a database is refused and stays unchanged', () => {
  mkdirSync(join(folder, 'state'));
  writeFileSync(path, 'not a database, but long enough to be taken for one'.repeat(20));
  expect(() => openSqliteCatalog(path)).toThrow(
    expect.objectContaining({
      code: 'integrity',
      message: `Cannot use the catalog "${path}": it is no SQLite database`,
      hint: expect.stringContaining('No backup is lost'),
    }),
  );
  expect(readFileSync(path, 'utf8')).toMatch(/^not a database/);
});

test('damage is reported as such', () => {
  {
    using catalog = openSqliteCatalog(path);
    for (let number = 0; number < 200; number += 1)
      catalog.setVolumeIdentity('h', `volume-${number}`, 'i'.repeat(100));
  }
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096);
  writeFileSync(path, bytes);
  expect(() => {
    using catalog = openSqliteCatalog(path);
    catalog.volumeIdentity('h', 'volume-7');
  }).toThrow(
    expect.objectContaining({
      code: 'integrity',
      hint: expect.stringMatching(/^No backup is lost.* makes a new one from its copy, "catalog.json"/),
    }),
  );
});

test('a row that Holdfast did not write is reported, not believed', () => {
  using catalog = openSqliteCatalog(path);
  const database = new DatabaseSync(path);
  database.exec(
    `INSERT INTO embedded_volume (name, driver, created_at, labels, options, anonymous) VALUES ('pg', 'local', 'now', '{"a":1}', '{}', 0)`,
  );
  database.close();
  expect(() => catalog.findManagedVolume('pg')).toThrow(expect.objectContaining({ code: 'integrity' }));
});

test('a folder in its place, and a file in its folder’s place, are named', () => {
  mkdirSync(path, { recursive: true });
  expect(() => openSqliteCatalog(path)).toThrow(expect.objectContaining({ code: 'usage' }));
  writeFileSync(join(folder, 'file'), '');
  expect(() => openSqliteCatalog(join(folder, 'file', 'catalog.db'))).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: expect.stringContaining('a part of its path is no folder'),
    }),
  );
});

test('a transaction that another process holds too long is named', () => {
  using _ = openSqliteCatalog(path);
  const database = new DatabaseSync(path, { timeout: 1 });
  database.exec('BEGIN IMMEDIATE');
  const impatient = openSqliteCatalog(path, { busyTimeoutMs: 20 });
  try {
    expect(() => impatient.setVolumeIdentity('h', 'pg', 'i')).toThrow(
      expect.objectContaining({
        code: 'locked',
        message: expect.stringContaining('another process is busy with it'),
      }),
    );
    // Readers never wait.
    expect(impatient.volumeIdentity('h', 'pg')).toBeUndefined();
  } finally {
    impatient[Symbol.dispose]();
    database.close();
  }
});
