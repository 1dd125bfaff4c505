import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from './open-database.ts';
import { QuickCommits } from './quick-commits.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'commits-'));
  path = join(folder, 'catalog.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

const name = (database: DatabaseSync, value: string): void =>
  void database.prepare("INSERT INTO volume_protection VALUES ('h', ?)").run(value);
const count = (database: DatabaseSync): unknown =>
  database.prepare('SELECT count(*) AS n FROM volume_protection').get()?.['n'];

test('the log stops growing after a few commits, and is read again after a kill', () => {
  const program = `
    import { openDatabase } from '${import.meta.dirname}/open-database.ts';
    import { QuickCommits } from '${import.meta.dirname}/quick-commits.ts';
    import { statSync } from 'node:fs';
    const database = openDatabase(${JSON.stringify(path)});
    const quick = new QuickCommits(database, ${JSON.stringify(path)});
    const sizes = new Set();
    for (let i = 0; i < 3000; i++) {
      quick.run(() => database.prepare("INSERT INTO volume_protection VALUES ('h', ?)").run('volume-' + i));
      if (i > 10) sizes.add(statSync(${JSON.stringify(`${path}-wal`)}).size);
    }
    console.log(JSON.stringify([...sizes]));
    process.kill(process.pid, 'SIGKILL');
  `;
  const script = join(folder, 'writer.ts');
  writeFileSync(script, program);
  let said = '';
  try {
    execFileSync(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    said = String((error as { stdout: Buffer }).stdout);
  }
  expect(JSON.parse(said)).toHaveLength(1);
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(4_000_000);
  const database = openDatabase(path);
  expect(count(database)).toBe(3000);
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  database.close();
});

test('a transaction that throws leaves nothing, and the next one as careful as before', () => {
  const database = openDatabase(path);
  using quick = new QuickCommits(database, path);
  expect(() =>
    quick.run(() => {
      name(database, 'pg');
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(count(database)).toBe(0);
  quick.run(() => name(database, 'pg'));
  quick.runLazily(() => name(database, 'web'));
  expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
  expect(count(database)).toBe(2);
  quick[Symbol.dispose]();
  database.close();
});

test('without a write-ahead log, SQLite waits itself', () => {
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE volume_protection (host, name); PRAGMA synchronous = FULL');
  using quick = new QuickCommits(database, path);
  for (let at = 0; at < 12; at += 1) quick.run(() => name(database, `volume-${at}`));
  quick.sync();
  expect(count(database)).toBe(12);
  expect(() => statSync(`${path}-wal`)).toThrow('ENOENT');
  database.close();
});
