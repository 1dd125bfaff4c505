import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeStack, type Stack } from './stack.ts';
import { command } from '../support/holdfast-command.ts';

interface Report {
  readonly kind: string;
  readonly outcome: string;
  readonly volumes: { readonly name: string; readonly trialVolume: string; readonly snapshotId: string }[];
  readonly servers: {
    readonly name: string;
    readonly trialContainer: string;
    readonly isHealthy: boolean;
    readonly proof: string;
    readonly lacks: string[];
    readonly asked: string[];
    readonly facts: string[];
    readonly counts: Record<string, number>;
    readonly problems: string[];
    readonly log: string | null;
    readonly readyAfterMs: number | null;
  }[];
  readonly unprovenBecause: string[];
  readonly unasked: { readonly volume: string; readonly reason: string }[];
  readonly restoreMs: number;
  readonly recoverMs: number | null;
  readonly problems: string[];
}

const composeFile = `
services:
  db:
    image: postgres:17
    environment: { POSTGRES_USER: app, POSTGRES_PASSWORD_FILE: /run/secrets/pw, POSTGRES_DB: shop }
    volumes: [pg:/var/lib/postgresql/data]
    secrets: [pw]
  cache:
    image: redis:8
    command: redis-server --appendonly yes
    volumes: [redis:/data]
  web:
    image: mon-webapp:latest
    volumes: [uploads:/app/uploads, ./config:/app/config:ro]
    depends_on: { db: { condition: service_healthy } }
volumes: { pg: {}, redis: {}, uploads: {} }
secrets: { pw: { file: ./pw } }
`;

let engine: PrivateEngine;
let cli: Cli;
let stack: Stack;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await importImages(engine);
  cli = new Cli();
  await cli.init();
  const files = { 'compose.yaml': composeFile, pw: "p'w $x", 'config/app.yml': 'redis_host: cache\n' };
  stack = await makeStack(engine, { name: 'shop', files });
  await stack.compose('up', '-d', '--wait');
  await sql('CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 50000) g');
  await stack.exec('cache', 'redis-cli', 'SET', 'greeting', 'hello');
  await stack.exec('web', 'sh', '-c', 'echo hi > /app/uploads/f');
  await run('backup', '--stack', 'shop');
});
afterAll(async () => {
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

const env = (): Record<string, string> => ({ HOLDFAST_HOST: 'auto', DOCKER_HOST: engine.dockerHost });

function attempt(...args: string[]): Promise<CliResult> {
  return cli.attempt(args, { env: env() });
}

async function run(...args: string[]): Promise<string> {
  const result = await attempt(...args);
  if (result.exit !== 0)
    throw new Error(`"holdfast ${args.join(' ')}" ended with ${result.exit}: ${result.stderr}`);
  return result.stdout;
}

async function drill(...args: string[]): Promise<{ exit: number; report: Report; stderr: string }> {
  const { exit, stdout, stderr } = await attempt('drill', ...args, '--format', 'json');
  if (stdout === '') throw new Error(`The drill ended with ${exit}: ${stderr}`);
  return { exit, report: JSON.parse(stdout) as Report, stderr };
}

function sql(text: string): Promise<string> {
  return stack.exec('db', 'psql', '-U', 'app', 'shop', '-Atc', text);
}

/** Everything at the engine: containers with their states, volumes, networks. */
async function inventory(): Promise<string> {
  const lists = [
    engine.docker(['ps', '-a', '--format', '{{.Names}} {{.State}}']),
    engine.docker(['volume', 'ls', '-q']),
    engine.docker(['network', 'ls', '--format', '{{.Name}}']),
  ];
  return (await Promise.all(lists)).map((list) => list.split('\n').toSorted().join('\n')).join('\n\n');
}

describe('a drill', () => {
  test('of a PostgreSQL volume proves that every row is there, and reports the time to recover', async () => {
    const before = await inventory();
    const { exit, report } = await drill('shop_pg');
    expect(report.problems).toEqual([]);
    expect(exit).toBe(0);
    expect(report).toMatchObject({
      kind: 'volume',
      outcome: 'proven',
      volumes: [{ name: 'shop_pg' }],
      servers: [{ name: 'shop-db-1', isHealthy: true, asked: ['PostgreSQL'] }],
      unasked: [],
    });
    expect(report.servers[0]?.counts['rows.shop.public.orders']).toBe(50_000);
    expect(report.recoverMs).toBeGreaterThan(report.restoreMs);
    expect(report.recoverMs).toBeLessThan(60_000);
    // Nothing is left, and nothing that ran was disturbed.
    expect(await inventory()).toBe(before);
    expect(await sql('SELECT count(*) FROM orders')).toBe('50000');
    expect(await run('drill', 'shop_pg')).toMatch(
      /Time to recover: .+, of which .+ to restore the data\nProven/,
    );
  });

  test('also runs the command of the user, and fails with it', async () => {
    const good = await drill('shop_pg', '--command', 'psql -U app shop -Atc "SELECT max(id) FROM orders"');
    expect(good).toMatchObject({ exit: 0, report: { outcome: 'proven' } });
    expect(good.report.servers[0]?.facts).toContain('50000');
    const bad = await drill('shop_pg', '-c', 'psql -U app shop -c "SELECT * FROM no_such_table"');
    expect(bad).toMatchObject({ exit: 6, report: { outcome: 'failed', recoverMs: null } });
    expect(bad.report.problems.join()).toContain('no_such_table');
    expect(bad.stderr).toContain('"shop_pg" cannot be recovered from this snapshot');
  });

  test('of a stack starts its databases on the volumes of one restore point', async () => {
    const before = await inventory();
    const { exit, report } = await drill('shop');
    expect(report.problems).toEqual([]);
    expect(exit).toBe(0);
    expect(report).toMatchObject({ kind: 'stack', outcome: 'proven' });
    expect(report.volumes.map(({ name }) => name).toSorted()).toEqual([
      'shop_pg',
      'shop_redis',
      'shop_uploads',
    ]);
    expect(Object.fromEntries(report.servers.map(({ name, isHealthy }) => [name, isHealthy]))).toEqual({
      'shop-cache-1': true,
      'shop-db-1': true,
      // With its mounted folder from the snapshot.
      'shop-web-1': true,
    });
    expect(report.servers.find(({ name }) => name === 'shop-web-1')).toMatchObject({
      proof: 'seen',
      lacks: [],
    });
    expect(report.unasked).toEqual([]);
    expect(await inventory()).toBe(before);
  });

  test('keeps what it made on request, and says how to remove it', async () => {
    const { report, stderr } = await drill('shop_pg', '--keep');
    const [name = ''] = report.servers.map(({ trialContainer }) => trialContainer);
    expect(stderr).toContain(`docker rm -f ${name}`);
    const rows = ['psql', '-U', 'app', 'shop', '-Atc', 'SELECT count(*) FROM orders'];
    expect(await engine.docker(['exec', name, ...rows])).toBe('50000');
    // It has no network.
    expect(
      await engine.docker([
        'inspect',
        '-f',
        '{{.HostConfig.NetworkMode}} {{.HostConfig.PortBindings}}',
        name,
      ]),
    ).toBe('none map[]');
    await run('snapshots');
    await run('volume', 'ls');
    expect(await inventory()).toContain(name);
    const { skipped } = JSON.parse(await run('backup', '--all', '--dry-run', '--format', 'json')) as {
      skipped: { name: string }[];
    };
    expect(skipped.map((one) => one.name)).toContain(report.volumes[0]?.trialVolume);
    await engine.docker(['rm', '-f', '-v', name]);
    await engine.docker(['volume', 'rm', ...report.volumes.map(({ trialVolume }) => trialVolume)]);
  });

  test('that is killed leaves nothing after the next command', async () => {
    const before = await inventory();
    for (const part of ['volume', 'container']) {
      const child = spawn(command, ['drill', 'shop'], {
        env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, ...env() },
        stdio: 'ignore',
      });
      const ended = once(child, 'exit');
      const list = part === 'volume' ? ['volume', 'ls', '-q'] : ['ps', '-aq'];
      while ((await engine.docker([...list, '-f', 'label=holdfast.trial'])) === '') await sleep(20);
      child.kill('SIGKILL');
      await ended;
      expect(await inventory()).not.toBe(before);
      const next = await attempt('volume', 'ls');
      expect(next.exit).toBe(0);
      expect(next.stderr).toContain('What an interrupted drill has left was removed');
      expect(await inventory()).toBe(before);
    }
  });

  test('that is cancelled leaves nothing', async () => {
    const before = await inventory();
    const child = spawn(command, ['drill', 'shop_pg'], {
      env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, ...env() },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    while ((await engine.docker(['ps', '-aq', '-f', 'label=holdfast.trial'])) === '') await sleep(20);
    child.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
    expect(await inventory()).toBe(before);
  });
});

describe('a drill catches', () => {
  test('a snapshot whose stored data was damaged', async () => {
    await sql('CREATE TABLE noise AS SELECT md5(random()::text) AS m FROM generate_series(1, 200000)');
    await run('backup', 'shop_pg');
    const folder = join(cli.repository, 'data');
    const packs = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile() && statSync(path).size > 100_000)
      .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
    const [newest = ''] = packs;
    const whole = readFileSync(newest);
    const damaged = Buffer.from(whole);
    for (let at = 5000; at < damaged.length - 5000; at += 20_000)
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    writeFileSync(newest, damaged);
    const before = await inventory();
    const { exit, report } = await drill('shop_pg');
    expect(exit).toBe(6);
    expect(report).toMatchObject({ outcome: 'failed', recoverMs: null, servers: [] });
    expect(report.problems).toHaveLength(1);
    expect(await inventory()).toBe(before);
    writeFileSync(newest, whole);
    expect((await drill('shop_pg')).exit).toBe(0);
  });

  test('a database whose files were damaged before they were saved', async () => {
    const path = await sql("SELECT pg_relation_filepath('orders')");
    await sql('CHECKPOINT');
    await stack.compose('stop', 'db');
    const file = join(engine.volumePath('shop_pg'), path);
    const whole = readFileSync(file);
    const damaged = Buffer.from(whole);
    damaged.fill(0xa5, 8192, 8192 + 64);
    writeFileSync(file, damaged);
    await run('backup', 'shop_pg');
    writeFileSync(file, whole);
    await stack.compose('start', 'db');
    const before = await inventory();
    const { exit, report } = await drill('shop_pg');
    expect(exit).toBe(6);
    expect(report.problems.join()).toMatch(/invalid page|corrupt/i);
    expect(report.servers[0]?.log).toBeTruthy();
    expect(await inventory()).toBe(before);
  });

  test('a database that does not start', async () => {
    await stack.compose('stop', 'db');
    const control = join(engine.volumePath('shop_pg'), 'global/pg_control');
    const whole = readFileSync(control);
    writeFileSync(control, Buffer.alloc(whole.length));
    await run('backup', 'shop_pg');
    writeFileSync(control, whole);
    await stack.compose('start', 'db');
    const { exit, report } = await drill('shop_pg', '--timeout', '20s');
    expect(exit).toBe(6);
    expect(report.servers).toMatchObject([{ isHealthy: false, readyAfterMs: null }]);
    expect(report.servers[0]?.log).toMatch(/PG_CONTROL_VERSION 0/);
    // An earlier one is still good.
    const listed = JSON.parse(await run('snapshots', 'shop_pg', '--format', 'json')) as { id: string }[];
    expect((await drill('shop_pg', '--snapshot', listed[0]?.id ?? '')).exit).toBe(0);
  });

  test('nothing where no preset can check, and says so', async () => {
    const { exit, report } = await drill('shop_uploads');
    expect(exit).toBe(0);
    expect(report).toMatchObject({ outcome: 'restored', servers: [], unasked: [{ volume: 'shop_uploads' }] });
    const asked = await drill('shop_uploads', '--command', 'cat /app/uploads/f');
    expect(asked.report).toMatchObject({ outcome: 'proven', servers: [{ isHealthy: true }] });
    expect(asked.report.servers[0]?.facts).toEqual(['hi']);
  });
});

test('when the container is gone, the recorded image is started on the data', async () => {
  const data = 'solo:/var/lib/postgresql/data';
  await engine.docker([
    'run',
    '-d',
    '--name',
    'solo',
    '-e',
    'POSTGRES_PASSWORD=x',
    '-e',
    'POSTGRES_USER=me',
    '-v',
    data,
    'postgres:17',
  ]);
  const rows = ['exec', 'solo', 'psql', '-U', 'me', '-c', 'CREATE TABLE t AS SELECT generate_series(1, 9)'];
  await expect.poll(() => engine.docker(rows).catch(() => '')).not.toBe('');
  await run('backup', 'solo');
  await engine.docker(['rm', '-f', '-v', 'solo']);
  await engine.docker(['volume', 'rm', 'solo']);
  const { exit, report } = await drill('solo');
  expect(report.problems).toEqual([]);
  expect(exit).toBe(0);
  expect(report).toMatchObject({ outcome: 'proven', servers: [{ name: 'solo', isHealthy: true }] });
  expect(report.servers[0]?.counts['rows.me.public.t']).toBe(9);
  await engine.docker(['rm', '-f', await engine.docker(['ps', '-aq', '-f', 'name=shop-db-1'])]);
  await engine.docker(['rmi', 'postgres:17']);
  const missing = await attempt('drill', 'solo');
  expect(missing).toMatchObject({ exit: 4, stderr: expect.stringContaining('docker pull postgres:17') });
});

test('a server that needs a file outside of the snapshot is unproven, and its data does not count as lost', async () => {
  const folder = join(engine.folder, 'written-conf');
  mkdirSync(folder);
  writeFileSync(join(folder, 'redis.conf'), 'dir /data\n');
  const mounts = ['-v', 'conf-data:/data', '-v', `${folder}:/conf`];
  const command = ['redis:8', 'redis-server', '/conf/redis.conf'];
  await engine.docker(['run', '-d', '--name', 'conf', ...mounts, ...command]);
  await run('backup', 'conf-data');
  const { exit, report, stderr } = await drill('conf-data');
  expect([exit, report.outcome]).toEqual([3, 'unproven']);
  expect(report.unprovenBecause).toEqual([`"conf" needs "${folder}", which is not in the snapshot`]);
  expect(stderr).toContain('Nothing says that data is lost');
  await engine.docker(['rm', '-f', 'conf']);
});

test('a database on a directory of the machine that does not come up fails, like one on a volume', async () => {
  const folder = join(engine.folder, 'redis-data');
  mkdirSync(folder);
  await engine.docker(['run', '-d', '--name', 'bound', '-v', `${folder}:/data`, 'redis:8']);
  const save = ['exec', 'bound', 'sh', '-c', 'redis-cli SET a b && redis-cli SAVE'];
  await expect.poll(() => engine.docker(save).catch(() => '')).toContain('OK');
  await run('backup', folder);
  expect(await drill(folder)).toMatchObject({ exit: 0, report: { outcome: 'proven' } });
  await engine.docker(['stop', 'bound']);
  writeFileSync(join(folder, 'dump.rdb'), 'REDIS0011 is no more');
  await run('backup', folder);
  const { exit, report } = await drill(folder);
  expect([exit, report.outcome]).toEqual([6, 'failed']);
  expect(report.servers).toMatchObject([{ name: 'bound', lacks: [], isHealthy: false }]);
  await engine.docker(['rm', '-f', 'bound']);
});
