import { existsSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runClient } from '../../src/quiesce/presets/run-client.ts';
import type { Dump } from '../../src/quiesce/presets/preset.ts';
import { type Databases, startDatabases } from './databases.fixture.ts';

const request = { readyWithinMs: 30_000, countWithinMs: 30_000 };
const file = `/data/notes 'n" more/app.db`;

const library = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const programs = ['/usr/bin/sqlite3', `/usr/lib/${library}/libsqlite3.so.0`];
const hasClient = programs.every((file) => existsSync(file));

let databases: Databases;
beforeAll(async () => {
  if (!hasClient) return;
  databases = await startDatabases();
  await databases.engine.docker([
    ...['run', '-d', '--name', 'app', '-v', 'app:/data', '--health-cmd', 'true', '--health-interval', '1s'],
    ...['holdfast-test-base', 'sleep', '10000'],
  ]);
  // The image has no SQLite client: it gets this machine's, with its library.
  for (const file of programs) await databases.engine.docker(['cp', '-L', file, `app:${file}`]);
  await databases.engine.docker(['exec', 'app', 'mkdir', `/data/notes 'n" more`]);
  await sql('PRAGMA journal_mode = WAL; CREATE TABLE t (n int, x text);');
  await sql(
    `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) INSERT INTO t SELECT n, 'x;-- COMMIT;' FROM c;`,
  );
});
afterAll(() => databases?.[Symbol.asyncDispose]());

async function sql(text: string): Promise<string> {
  return await databases.engine.docker(['exec', 'app', 'sqlite3', file, text]);
}

async function textOf(dump: Dump): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of dump.open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

test.runIf(hasClient)('SQLite is recognised by its files, checked, and gets a checkpoint', async () => {
  const { preset, server } = await databases.recognise('app');
  expect(preset.name).toBe('sqlite');
  expect(server.recognition.files).toEqual([`notes 'n" more/app.db`]);
  expect(await preset.before?.(server)).toEqual({
    evidence: 'checkpoint of SQLite in "app"',
    grade: 'crash',
  });
  expect(await preset.check(server, request)).toMatchObject({
    isHealthy: true,
    counts: { [`tables.notes 'n" more/app.db`]: 1 },
  });
});

test.runIf(hasClient)('a dump of SQLite makes an equal database, during writes', async () => {
  const { preset, server } = await databases.recognise('app');
  const [dump] = (await preset.dumps?.(server)) ?? [];
  if (!dump) throw new Error('There is no dump');
  const reading = textOf(dump);
  const writing = sql(`INSERT INTO t VALUES (0, 'later');`);
  const text = await reading;
  await writing;
  await runClient(server, { command: ['sqlite3', '/tmp/new.db'], stdin: text });
  const count = ['sqlite3', '/tmp/new.db', `SELECT count(*) FROM t WHERE x = 'x;-- COMMIT;'`];
  expect(await databases.engine.docker(['exec', 'app', ...count])).toBe('20000');
});

test.runIf(hasClient)('a truncated SQLite file is detected', async () => {
  const path = join(databases.engine.volumePath('app'), `notes 'n" more`, 'app.db');
  await sql('PRAGMA wal_checkpoint(TRUNCATE);');
  truncateSync(path, Math.floor(readFileSync(path).length / 2 / 4096) * 4096);
  const { preset, server } = await databases.recognise('app');
  expect(await preset.check(server, request)).toMatchObject({ isHealthy: false });
  const [dump] = (await preset.dumps?.(server)) ?? [];
  if (!dump) throw new Error('There is no dump');
  await expect(textOf(dump)).rejects.toThrow(/Cannot dump/);
});
