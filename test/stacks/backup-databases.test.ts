import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupOutcome } from '../../src/app/app.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { Cli, type CliResult } from '../cli/cli.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeStack, type Stack } from './stack.ts';

const composeFile = `
services:
  db:
    image: postgres:17
    environment: { POSTGRES_USER: app, POSTGRES_PASSWORD: "p'w $$x", POSTGRES_DB: shop }
    volumes: [pg:/var/lib/postgresql/data]
    labels: { holdfast.dump: "true" }
  maria:
    image: mariadb:11
    environment: { MARIADB_ROOT_PASSWORD: "ro'ot", MARIADB_DATABASE: shop }
    volumes: [maria:/var/lib/mysql]
  cache:
    image: redis:8
    volumes: [redis:/data]
  stopped:
    image: mariadb:11
    environment: { MARIADB_ROOT_PASSWORD: x }
    volumes: [stopped:/var/lib/mysql]
    labels: { holdfast.stop: "true", holdfast.preset: mariadb }
volumes: { pg: {}, maria: {}, redis: {}, stopped: {} }
`;

type Outcome = Omit<BackupOutcome, 'snapshot'> & { readonly snapshotId: string };

let engine: PrivateEngine;
let cli: Cli;
let stack: Stack;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await importImages(engine);
  cli = new Cli();
  await cli.init();
  stack = await makeStack(engine, { name: 'shop', files: { 'compose.yaml': composeFile } });
  await stack.compose('up', '-d', '--wait');
  await sql('CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 20000) g');
  await maria('CREATE TABLE shop.t (n int) ENGINE=MyISAM; INSERT INTO shop.t VALUES (1), (2)');
  await stack.exec('cache', 'redis-cli', 'SET', 'greeting', 'hello');
});
afterAll(async () => {
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

function attempt(...args: string[]): Promise<CliResult> {
  return cli.attempt(args, { env: { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost } });
}

async function run(...args: string[]): Promise<string> {
  const { exit, stdout, stderr } = await attempt(...args);
  if (exit !== 0) throw new Error(`"holdfast ${args.join(' ')}" ended with ${exit}: ${stderr}`);
  return stdout;
}

async function backUp(...args: string[]): Promise<Outcome[]> {
  return (JSON.parse(await run('backup', ...args, '--format', 'json')) as { outcomes: Outcome[] }).outcomes;
}

async function snapshots(volume: string): Promise<Snapshot[]> {
  return JSON.parse(await run('snapshots', volume, '--format', 'json')) as Snapshot[];
}

function sql(text: string): Promise<string> {
  return stack.exec('db', 'psql', '-U', 'app', 'shop', '-Atc', text);
}

function maria(text: string): Promise<string> {
  return stack.exec('maria', 'mariadb', '-u', 'root', "-pro'ot", '-Ne', text);
}

async function states(): Promise<string> {
  return await engine.docker(['ps', '--format', '{{.Names}} {{.State}}']);
}

describe('a stack of databases', () => {
  test('is saved as its applications need it, at one moment', async () => {
    const outcomes = await backUp('--stack', 'shop');
    const by = Object.fromEntries(outcomes.map((outcome) => [outcome.name, outcome]));
    expect(by['shop_pg']).toMatchObject({
      outcome: 'good',
      grade: 'crash',
      evidence: { ran: ['checkpoint in "shop-db-1"', 'dump of PostgreSQL in "shop-db-1"'] },
    });
    expect(by['shop_maria']).toMatchObject({
      outcome: 'good',
      grade: 'app',
      evidence: { ran: [expect.stringMatching(/^BACKUP STAGE BLOCK_COMMIT in "shop-maria-1" for \d+ ms$/)] },
    });
    // A stopped server needs no lock.
    expect(by['shop_stopped']).toMatchObject({ outcome: 'good', grade: 'cold' });
    expect(by['shop_stopped']?.evidence?.ran).toBe(undefined);
    expect(by['shop_redis']).toMatchObject({ grade: 'app', evidence: { ran: ['BGSAVE in "shop-cache-1"'] } });
    expect(by['shop_maria']?.gradeReason).toMatch(
      /^BACKUP STAGE BLOCK_COMMIT in "shop-maria-1" for \d+ ms, .* still for \d+ ms$/,
    );
    expect((await states()).match(/running/g)).toHaveLength(4);
    await maria('INSERT INTO shop.t VALUES (3)');
    const [snapshot] = await snapshots('shop_pg');
    expect(snapshot?.dumps?.map(({ name }) => name)).toEqual([
      'postgresql.globals.sql',
      'postgresql.database.postgres.sql',
      'postgresql.database.shop.sql',
    ]);
    expect(await run('ls', 'shop_pg@latest', '--dumps')).toContain('postgresql.database.shop.sql');
    const text = await run('dump', 'shop_pg@latest', '--dump', 'postgresql.database.shop.sql');
    expect(text).toContain('COPY public.orders');
    expect(text).toContain('-- PostgreSQL database dump complete');
    await run('check', '--read-data');
  });

  test('is restored from a dump into the running server, and its old data is saved first', async () => {
    await sql('DELETE FROM orders; CREATE TABLE newer (n int)');
    const plan = await run(
      'restore',
      'shop_pg',
      '--from-dump',
      '--dump',
      'postgresql.database.shop.sql',
      '--dry-run',
    );
    expect(plan).toContain('into PostgreSQL in "shop-db-1"');
    expect(await sql('SELECT count(*) FROM orders')).toBe('0');
    const id = (await snapshots('shop_pg')).at(-1)?.id ?? '';
    await run('restore', id, '--from-dump', '--yes');
    expect(await sql('SELECT count(*) FROM orders')).toBe('20000');
    const safety = (await snapshots('shop_pg')).at(-1);
    expect(safety?.tags).toContain('before-restore');
    await run('restore', safety?.id ?? '', '--from-dump', '--yes', '--no-safety-snapshot');
    expect(await sql('SELECT count(*) FROM newer')).toBe('0');
    const { exit, stderr } = await attempt('restore', 'shop_redis', '--from-dump', '--yes');
    expect(exit).toBe(4);
    expect(stderr).toMatch(/has no dump/);
  });

  test('has no new snapshot when a dump is not whole, and runs on', async () => {
    const before = (await snapshots('shop_pg')).length;
    const program = join(engine.folder, 'pg_dump');
    await writeFile(
      program,
      '#!/bin/sh\ncase "$*" in *-V*|*--version*) exec /tmp/real --version ;; esac\necho "-- PostgreSQL database dump"\n',
      { mode: 0o755 },
    );
    const real = '/usr/lib/postgresql/17/bin/pg_dump';
    await engine.docker(['exec', '-u', '0', 'shop-db-1', 'cp', '-a', real, '/tmp/real']);
    await engine.docker(['cp', program, `shop-db-1:${real}`]);
    const { exit, stderr } = await attempt('backup', 'shop_pg');
    await engine.docker(['exec', '-u', '0', 'shop-db-1', 'cp', '-a', '/tmp/real', real]);
    expect(exit).toBe(1);
    expect(stderr).toMatch(
      /Cannot dump the database "postgres": what "pg_dump" in "shop-db-1" printed is cut short/,
    );
    expect((await snapshots('shop_pg')).length).toBe(before);
    expect((await states()).match(/running/g)).toHaveLength(4);
    expect(await sql('SELECT 1')).toBe('1');
  });

  test('is saved at a lower grade when what its application could not do was not requested', async () => {
    await maria("ALTER USER 'root'@'localhost' IDENTIFIED BY 'changed', 'root'@'%' IDENTIFIED BY 'changed'");
    const { exit, stdout, stderr } = await attempt('backup', 'shop_maria', '--format', 'json');
    expect(exit).toBe(0);
    expect(stderr).toMatch(/MariaDB or MySQL in "shop-maria-1" could not be locked: Cannot log in/);
    expect((JSON.parse(stdout) as { outcomes: Outcome[] }).outcomes[0]).toMatchObject({
      outcome: 'good',
      grade: 'crash',
    });
    const wanted = await attempt('backup', 'shop_maria', '--preset', 'mariadb');
    expect(wanted.exit).toBe(1);
    expect(wanted.stderr).toMatch(/Cannot log in to MariaDB/);
    const left = await attempt('backup', 'shop_maria', '--preset', 'none');
    expect(left.exit).toBe(0);
    expect(left.stderr).not.toMatch(/log in/);
  });
});
