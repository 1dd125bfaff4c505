import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dump, PresetServer } from '../../src/quiesce/presets/preset.ts';
import { openFreshRepository } from '../fixtures/open-repository.ts';
import { awkwardPassword, type Databases, startDatabases } from './databases.fixture.ts';

const path = '/var/lib/postgresql/data';
const awkwardName = `Sh"o'p -- é=x/%`;
const request = { readyWithinMs: 60_000, countWithinMs: 60_000 };

let databases: Databases;
beforeAll(async () => {
  databases = await startDatabases();
  const secret = join(databases.engine.folder, 'secret');
  await writeFile(secret, `${awkwardPassword}\n`, { mode: 0o644 });
  await databases.start({
    name: 'pg',
    image: 'postgres:17',
    path,
    environment: {
      POSTGRES_PASSWORD_FILE: '/run/secrets/pg',
      POSTGRES_USER: 'ad min',
    },
    args: ['-v', `${secret}:/run/secrets/pg:ro`],
  });
  // Makes a login over the socket need the password too.
  const hba = `${path}/pg_hba.conf`;
  await databases.engine.docker(['exec', 'pg', 'sed', '-i', 's/^\\(local.*\\)trust/\\1scram-sha-256/', hba]);
  await sql('pg', 'postgres', 'SELECT pg_reload_conf()');
  await sql('pg', 'postgres', `CREATE DATABASE "Sh""o'p -- é=x/%"`);
  await sql('pg', 'postgres', `CREATE ROLE "app; user" LOGIN PASSWORD 'x'`);
  await sql(
    'pg',
    awkwardName,
    `CREATE SCHEMA "s 1"; CREATE TABLE "s 1"."t""2" AS SELECT n, repeat('x', 900) AS text FROM generate_series(1, 30000) n;
     CREATE TABLE empty (n int); CREATE UNLOGGED TABLE fleeting (n int); ALTER TABLE empty OWNER TO "app; user";`,
  );
});
afterAll(() => databases?.[Symbol.asyncDispose]());

async function sql(container: string, database: string, text: string): Promise<string> {
  return await databases.engine.docker([
    ...['exec', '-e', `PGPASSWORD=${awkwardPassword}`, '-e', `PGDATABASE=${database}`, container],
    ...['psql', '-XAtqw', '-v', 'ON_ERROR_STOP=1', '-U', 'ad min', '-c', text],
  ]);
}

async function dumpsOf(name: string): Promise<{ server: PresetServer; dumps: readonly Dump[] }> {
  const { preset, server } = await databases.recognise(name);
  return { server, dumps: (await preset.dumps?.(server)) ?? [] };
}

async function textOf(dump: Dump): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of dump.open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function named(dumps: readonly Dump[], part: string): Dump {
  const found = dumps.find(({ name }) => name.includes(part));
  if (!found) throw new Error(`There is no dump with ${part} in its name`);
  return found;
}

describe('PostgreSQL', () => {
  test('is recognised, and writes a checkpoint with a password of any characters', async () => {
    const { preset, server } = await databases.recognise('pg');
    expect(preset.name).toBe('postgresql');
    expect(server.recognition).toMatchObject({ by: 'both', folder: '' });
    const before = await sql('pg', 'postgres', 'SELECT checkpoint_lsn FROM pg_control_checkpoint()');
    await sql('pg', 'postgres', 'CREATE TABLE mark (n int); DROP TABLE mark;');
    expect(await preset.before?.(server)).toEqual({ evidence: 'checkpoint in "pg"', grade: 'crash' });
    expect(await sql('pg', 'postgres', 'SELECT checkpoint_lsn FROM pg_control_checkpoint()')).not.toBe(
      before,
    );
  });

  test('shows its password in no process list during a dump', async () => {
    const { dumps } = await dumpsOf('pg');
    const iterator = named(dumps, 'Sh%22').open()[Symbol.asyncIterator]();
    await iterator.next();
    const processes = await databases.engine.docker(['top', 'pg', '-eo', 'pid,args']);
    await iterator.return?.();
    expect(processes).toMatch(/pg_dump/);
    expect(processes).not.toContain(awkwardPassword.slice(0, 6));
  });

  test('is healthy when all its rows can be read', async () => {
    const { preset, server } = await databases.recognise('pg');
    const check = await preset.check(server, request);
    expect(check.problems).toEqual([]);
    expect(check.isHealthy).toBe(true);
    expect(check.counts[`rows.${awkwardName}.s 1.t"2`]).toBe(30_000);
    expect(Object.keys(check.counts).some((key) => key.includes('fleeting'))).toBe(false);
    expect(check.facts).toEqual(['3 databases', '2 tables', '30,000 rows']);
  });

  test('is restored from the dumps in a repository onto another server, roles and owners included', async () => {
    await using opened = await openFreshRepository();
    const { repository } = opened;
    const { dumps } = await dumpsOf('pg');
    expect(dumps.map(({ name }) => name)).toEqual([
      'postgresql.globals.sql',
      'postgresql.database.Sh%22o%27p%20--%20%c3%a9%3dx%2f%25.sql',
      'postgresql.database.ad%20min.sql',
      'postgresql.database.postgres.sql',
    ]);
    const stored = [];
    for (const { name, open } of dumps) stored.push(await repository.storeDump({ name, body: open() }));
    const { snapshot } = await opened.save({ kind: 'entries', entries: emptyTree() }, { dumps: stored });
    if (!snapshot) throw new Error('There is no snapshot');

    await databases.start({
      name: 'other',
      image: 'postgres:17',
      path,
      environment: { POSTGRES_PASSWORD: awkwardPassword, POSTGRES_USER: 'ad min' },
    });
    await sql('other', 'postgres', `CREATE DATABASE "Sh""o'p -- é=x/%";`);
    await sql('other', awkwardName, 'CREATE TABLE old (n int);');
    const { preset, server } = await databases.recognise('other');
    const entries = await repository.listDumps(snapshot);
    for (const { name } of stored) {
      const entry = entries.find((one) => one.path === Buffer.from(name).toString('latin1'));
      if (!entry) throw new Error(`There is no ${name}`);
      await preset.restoreDump?.(server, { name, body: repository.readFile(snapshot, entry) });
    }
    const check = await preset.check(server, request);
    expect(check.problems).toEqual([]);
    expect(check.counts[`rows.${awkwardName}.s 1.t"2`]).toBe(30_000);
    expect(
      await sql('other', awkwardName, `SELECT tableowner FROM pg_tables WHERE tablename = 'empty'`),
    ).toBe('app; user');
    expect(await sql('other', awkwardName, `SELECT count(*) FROM pg_tables WHERE tablename = 'old'`)).toBe(
      '0',
    );
    expect(await sql('other', 'postgres', 'SELECT count(*) FROM pg_database')).toBe('5');
  });

  test('keeps its old database when the restored dump is truncated', async () => {
    const { preset, server } = await databases.recognise('pg');
    const { dumps } = await dumpsOf('pg');
    const dump = named(dumps, 'Sh%22');
    const text = await textOf(dump);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text.slice(0, text.length / 2));
      throw new Error('the repository is gone');
    }
    const before = (await preset.check(server, request)).counts;
    await expect(preset.restoreDump?.(server, { name: dump.name, body: broken() })).rejects.toThrow(
      /repository is gone/,
    );
    const cancel = new AbortController();
    async function* cancelled(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text.slice(0, text.length / 2));
      cancel.abort();
      yield Buffer.from(text.slice(text.length / 2));
    }
    const stoppable = await databases.recognise('pg', cancel.signal);
    await expect(
      preset.restoreDump?.(stoppable.server, { name: dump.name, body: cancelled() }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    expect((await preset.check(server, request)).counts).toEqual(before);
    async function* wrong(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('CREATE DATABASE half; SELECT nonsense;');
    }
    await expect(preset.restoreDump?.(server, { name: dump.name, body: wrong() })).rejects.toThrow(
      /failed \(exit 3\)/,
    );
    await sql('pg', 'postgres', 'DROP DATABASE half');
    expect((await preset.check(server, request)).counts).toEqual(before);
    expect(await sql('pg', 'postgres', `SELECT datallowconn FROM pg_database WHERE datname LIKE 'Sh%'`)).toBe(
      't',
    );
  });
});

describe('a dump of PostgreSQL', () => {
  test('is not good when its client is killed in the middle', async () => {
    const { dumps } = await dumpsOf('pg');
    await using opened = await openFreshRepository();
    const dump = named(dumps, 'Sh%22');
    async function* killedOnTheWay(): AsyncGenerator<Uint8Array> {
      let isKilled = false;
      for await (const chunk of dump.open()) {
        if (!isKilled) await databases.killInside('pg', /^pg_dump /);
        isKilled = true;
        yield chunk;
      }
    }
    await expect(opened.repository.storeDump({ name: dump.name, body: killedOnTheWay() })).rejects.toThrow(
      /Cannot dump the database .* failed \(exit 137\)/,
    );
  });

  test('is not good when the server dies during it', async () => {
    await databases.start({
      name: 'mortal',
      image: 'postgres:17',
      path,
      environment: { POSTGRES_PASSWORD: 'x' },
    });
    const docker = databases.engine.docker;
    await docker([
      ...['exec', 'mortal', 'psql', '-U', 'postgres', '-c'],
      `CREATE TABLE t AS SELECT n, repeat('x', 900) AS text FROM generate_series(1, 60000) n`,
    ]);
    const { dumps } = await dumpsOf('mortal');
    let isKilled = false;
    const reading = async (): Promise<void> => {
      for await (const _ of named(dumps, 'postgres.sql').open()) {
        if (!isKilled) await docker(['kill', 'mortal']);
        isKilled = true;
      }
    };
    await expect(reading()).rejects.toThrow();
    const { preset, server } = await databases.recognise('mortal');
    expect(await preset.check(server, { readyWithinMs: 2000, countWithinMs: 1000 })).toMatchObject({
      isHealthy: false,
      readyAfterMs: undefined,
    });
  });

  test.each([
    ['prints nothing', 'exit 0', /is empty/],
    [
      'is cut short and does not say so',
      'echo "-- PostgreSQL database dump"; echo "COPY t FROM stdin;"; exit 0',
      /is cut short/,
    ],
    [
      'has the end mark among its rows only',
      'echo "-- PostgreSQL database dump complete"; echo 1; exit 0',
      /is cut short/,
    ],
    [
      'fails at its end',
      'echo "-- PostgreSQL database dump complete"; echo broken >&2; exit 1',
      /failed \(exit 1\)/,
    ],
  ])('that %s is no good one', async (_, script, message) => {
    const { engine } = databases;
    const program = join(engine.folder, 'pg_dump');
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const real = '/usr/lib/postgresql/17/bin/pg_dump';
    await engine.docker(['exec', '-u', '0', 'pg', 'busybox', 'cp', '-an', real, '/tmp/real']);
    await engine.docker(['cp', program, `pg:${real}`]);
    try {
      const { dumps } = await dumpsOf('pg');
      await expect(textOf(named(dumps, 'postgres.sql'))).rejects.toThrow(message);
    } finally {
      await engine.docker(['exec', '-u', '0', 'pg', 'busybox', 'cp', '-a', '/tmp/real', real]);
    }
    expect(await textOf(named((await dumpsOf('pg')).dumps, 'postgres.sql'))).toContain(
      'database dump complete',
    );
  });

  test('is reported impossible where the image has no client', async () => {
    const { engine } = databases;
    const program = '/usr/lib/postgresql/17/bin/psql';
    await engine.docker(['exec', '-u', '0', 'pg', 'mv', program, '/tmp/psql']);
    await engine.docker(['exec', '-u', '0', 'pg', 'mv', '/usr/bin/psql', '/tmp/psql2']);
    try {
      const { preset, server } = await databases.recognise('pg');
      await expect(preset.dumps?.(server)).rejects.toMatchObject({ code: 'unsupported' });
      expect(await preset.check(server, request)).toMatchObject({ isHealthy: undefined });
    } finally {
      await engine.docker(['exec', '-u', '0', 'pg', 'mv', '/tmp/psql', program]);
      await engine.docker(['exec', '-u', '0', 'pg', 'mv', '/tmp/psql2', '/usr/bin/psql']);
    }
  });
});

async function* emptyTree(): AsyncGenerator<never> {
  const entry = { path: '', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n, size: 0 } as const;
  yield { entry, body: (async function* () {})() } as never;
}
