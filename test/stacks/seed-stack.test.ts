import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from '../cli/cli.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { makeDataFolders, makeSeedStack, type SeedStack } from './seed-stack.ts';
import { makeStack } from './stack.ts';
import { startWriteLoad, type WriteLoad } from './write-load.ts';

let engine: PrivateEngine;
let cli: Cli;
let stack: SeedStack;
let load: WriteLoad | undefined;
beforeAll(async () => {
  engine = await startPrivateEngine();
  await importImages(engine);
  cli = new Cli();
  await cli.init();
  stack = await makeSeedStack(engine);
});
afterAll(async () => {
  await load?.stop();
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

interface BackupReport {
  readonly outcomes: {
    readonly name: string;
    readonly outcome: string;
    readonly grade: string;
    readonly gradeReason: string;
    readonly snapshotId: string;
  }[];
}

async function attempt(...args: string[]): Promise<CliResult> {
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  return await cli.attempt(args, { env });
}

async function run(...args: string[]): Promise<string> {
  const { exit, stdout, stderr } = await attempt(...args);
  if (exit !== 0) throw new Error(`"holdfast ${args.join(' ')}" ended with ${exit}: ${stderr}\n${stdout}`);
  return stdout;
}

function writeOn(firstRow: number): WriteLoad {
  return startWriteLoad(engine, { postgres: 'site-postgres-1', redis: 'site-redis-1', firstRow });
}

/** The website's answer. */
async function get(path: string): Promise<string> {
  return await engine.inNetwork(['busybox', 'wget', '-q', '-O', '-', `http://127.0.0.1:80${path}`]);
}

/** Over TCP: the server that initialises an empty folder listens only on its socket, and exits again. */
async function untilReady(): Promise<void> {
  const ask = () =>
    stack.exec('postgres', 'pg_isready', '-q', '-h', '127.0.0.1').then(
      () => true,
      () => false,
    );
  await expect.poll(ask, { timeout: 90_000, interval: 300 }).toBe(true);
}

/** Removes containers, volumes and the folders' contents, as on a new machine. */
async function destroyEverything(): Promise<void> {
  await stack.compose('down', '-v', '--remove-orphans');
  await rm(stack.data, { recursive: true, force: true });
  expect(await engine.docker(['volume', 'ls', '-q', '-f', 'label=com.docker.compose.project=site'])).toBe('');
}

/** A plain `docker compose up`, which must not mention volumes. */
async function up(): Promise<void> {
  const { stdout, stderr } = await stack.compose('up', '-d');
  const said = `${stdout}\n${stderr}`.split('\n');
  expect(said.filter((line) => /volume/i.test(line))).toEqual([]);
  expect(said.filter((line) => /warn/i.test(line) && !/`version` is obsolete/.test(line))).toEqual([]);
  await untilReady();
}

test('prepared by Holdfast, the stack starts: check, prepare, graph, explain, and a plain "up"', async () => {
  const fresh = await makeSeedStack(engine, { name: 'fresh', data: 'fresh-data' });
  const compose = async (...args: string[]): Promise<{ exit: number; stdout: string; stderr: string }> => {
    const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
    return await cli.attempt(['compose', ...args], { env, cwd: fresh.folder });
  };
  const found = async (): Promise<string[]> => {
    const { stdout } = await compose('check', '--format', 'json');
    const { findings } = JSON.parse(stdout) as { findings: { rule: string; position: { line: number } }[] };
    return findings.map(({ rule, position }) => `${rule} ${position.line}`);
  };
  expect(await found()).toEqual(['missing-device 65', 'missing-device 75', 'obsolete-version 1']);
  expect((await compose('check')).exit).toBe(1);
  expect((await compose('prepare', '--yes')).exit).toBe(0);
  // The database's own user, as the official image has it.
  expect(statSync(join(fresh.data, 'postgres'))).toMatchObject({ uid: 999, gid: 999 });
  expect(await found()).toEqual(['obsolete-version 1']);
  expect((await compose('check')).exit).toBe(0);
  expect((await compose('check', '--strict')).exit).toBe(1);
  expect((await compose('prepare', '--yes')).stdout).toContain('There is nothing to prepare');

  const drawn = (await compose('graph')).stdout;
  expect(drawn).toMatch(/fresh-data\/postgres ─+▶ fresh_postgres_data ─+▶│ \/var\/lib\/postgresql\/data/);
  expect(drawn.match(/fresh_user_uploads/g)).toHaveLength(2);
  expect((await compose('graph', '--format', 'svg')).stdout).toMatch(/^<svg [^]*<\/svg>\n$/);
  const sentences = (await compose('explain', '--lang', 'fr')).stdout.trimEnd().split('\n');
  expect(sentences).toHaveLength(12);
  expect(sentences).toContainEqual(
    `« /var/lib/postgresql/data » dans « postgres » est le volume « fresh_postgres_data », dont les données sont dans « ${fresh.data}/postgres » ; « postgres » peut y écrire ; les données survivent à « down » et à « down -v ».`.replaceAll(
      /(?<=«) | (?=[»;])/g,
      '\u00a0',
    ),
  );

  await fresh.compose('up', '-d');
  const ask = (): Promise<string> => fresh.sql('SELECT count(*) FROM ledger').catch(() => '');
  await expect.poll(ask, { timeout: 90_000, interval: 300 }).toBe('0');
  await expect.poll(() => get('/cgi-bin/order')).toBe('1 1\n');
  expect(existsSync(join(fresh.data, 'postgres/PG_VERSION'))).toBe(true);
  await fresh.compose('down', '-v', '-t', '1');
});

test('the stack does not start while its folders are missing, and starts when they exist', async () => {
  // A try before this one may have made them.
  await destroyEverything();
  await expect(stack.compose('up', '-d')).rejects.toThrow(/no such file or directory/);
  await makeDataFolders(stack);
  // The engine may still be making a container that the failed start has asked for.
  const upAgain = (): Promise<string> => stack.compose('up', '-d').then(() => 'up', String);
  await expect.poll(upAgain, { interval: 1000 }).toBe('up');
  await untilReady();
  await expect.poll(() => get('/uploads/logo.svg')).toBe('<svg/>\n');
  expect(await get('/cgi-bin/order')).toBe('1 1\n');
});

test('it is backed up under a write load, destroyed, restored as one, and comes up with every committed row', async () => {
  load = writeOn(1);
  await expect.poll(() => load?.acknowledged.row).toBeGreaterThan(200);
  const before = load.acknowledged;
  const report = JSON.parse(await run('backup', '--stack', 'site', '--format', 'json')) as BackupReport;
  expect(Object.fromEntries(report.outcomes.map(({ name, outcome }) => [name, outcome]))).toEqual({
    site_nginx_logs: 'good',
    site_postgres_data: 'good',
    site_redis_data: 'good',
    site_user_uploads: 'good',
  });
  for (const { grade, gradeReason } of report.outcomes) expect([grade, gradeReason]).not.toContain('torn');
  await sleep(500);
  const after = await load.stop();
  // It went on writing during the backup, and since.
  expect(after.row).toBeGreaterThan(before.row + 100);
  await destroyEverything();

  await run('restore', '--stack', 'site', '--as-recorded', '--yes');
  expect(existsSync(join(stack.data, 'postgres/PG_VERSION'))).toBe(true);
  await up();
  const [count = 0, highest = 0] = (await stack.sql('SELECT count(*), max(id) FROM ledger'))
    .split('|')
    .map(Number);
  // Rows without a gap, with all that were committed before the backup began, and no others.
  expect(count).toBe(highest);
  expect(highest).toBeGreaterThanOrEqual(before.row);
  expect(highest).toBeLessThanOrEqual(after.row);
  const counter = Number(await stack.redis('GET', 'counter'));
  expect(counter).toBeGreaterThanOrEqual(before.count);
  expect(counter).toBeLessThanOrEqual(after.count);
});

test('what was committed before a backup is all there after it', async () => {
  const [known = 0] = (await stack.sql('SELECT max(id) FROM ledger')).split('|').map(Number);
  load = writeOn(known + 1);
  await expect.poll(() => load?.acknowledged.row).toBeGreaterThan(known + 200);
  const last = await load.stop();
  await get('/cgi-bin/order');
  const orders = await stack.sql('SELECT max(id) FROM orders');
  const logged = readFileSync(join(engine.volumePath('site_nginx_logs'), 'access.log'), 'utf8');
  await run('backup', '--stack', 'site');
  await destroyEverything();

  await run('restore', '--stack', 'site', '--as-recorded', '--yes');
  await up();
  expect(await stack.sql('SELECT count(*), max(id) FROM ledger')).toBe(`${last.row}|${last.row}`);
  expect(await stack.sql('SELECT max(id) FROM orders')).toBe(orders);
  expect(Number(await stack.redis('GET', 'counter'))).toBe(last.count);
  expect(await get('/uploads/logo.svg')).toBe('<svg/>\n');
  expect(readFileSync(join(stack.data, `uploads/order-${orders}.txt`), 'utf8')).toBe(`order ${orders}\n`);
  expect(
    readFileSync(join(engine.volumePath('site_nginx_logs'), 'access.log'), 'utf8').startsWith(logged),
  ).toBe(true);
});

test('its drill starts all of it with its own configuration, and separates what was checked from what was seen', async () => {
  const report = JSON.parse(await run('drill', 'site', '--format', 'json')) as {
    readonly outcome: string;
    readonly servers: readonly { readonly name: string; readonly proof: string; readonly lacks: string[] }[];
  };
  expect(report.outcome).toBe('proven');
  expect(Object.fromEntries(report.servers.map(({ name, proof }) => [name, proof]))).toMatchObject({
    'site-postgres-1': 'asked',
    'site-redis-1': 'asked',
    'site-nginx-1': 'seen',
  });
  expect(report.servers.flatMap(({ lacks }) => lacks)).toEqual([]);
});

test('after the loss of its folders and its Compose file, one restore brings all of it back', async () => {
  const names = [
    'docker-compose.yml',
    'config/redis.conf',
    'nginx/conf.d/site.conf',
    'init-scripts/01-schema.sql',
  ];
  const read = (): string[] => names.map((name) => readFileSync(join(stack.folder, name), 'utf8'));
  const before = read();
  const rows = await stack.sql('SELECT count(*), max(id) FROM ledger');
  await destroyEverything();
  await rm(stack.folder, { recursive: true });

  await run('restore', '--stack', 'site', '--as-recorded', '--yes');
  expect(read()).toEqual(before);
  await up();
  expect(await stack.sql('SELECT count(*), max(id) FROM ledger')).toBe(rows);
  await expect.poll(() => get('/uploads/logo.svg')).toBe('<svg/>\n');
});

interface AuditReport {
  readonly findings: readonly {
    readonly id: string;
    readonly subject: { readonly kind: string; readonly name: string };
    readonly position: { readonly line: number } | null;
    readonly evidence: readonly string[];
  }[];
}

async function audited(...args: string[]): Promise<AuditReport['findings']> {
  const { findings } = JSON.parse(
    await run('audit', ...args, '--fail-on', 'never', '--format', 'json'),
  ) as AuditReport;
  return findings;
}

test('the audit of the chapter’s stack finds its password, that nothing saves it by itself, and its backups on its disk', async () => {
  const findings = await audited(stack.folder);
  expect(findings.map(({ id, subject }) => `${id} ${subject.name}`)).toEqual([
    'HF-B001 site_nginx_logs',
    'HF-B001 site_postgres_data',
    'HF-B001 site_redis_data',
    'HF-B001 site_user_uploads',
    'HF-B002 default',
    'HF-S006 postgres',
  ]);
  expect(findings.find(({ id }) => id === 'HF-S006')?.position?.line).toBe(10);
});

/** Where each version's image keeps its data, and the mount that people write. */
const shadows = [
  { version: '15', mount: '/var/lib/postgresql', belongs: '/var/lib/postgresql/data' },
  { version: '18', mount: '/var/lib/postgresql/data', belongs: '/var/lib/postgresql' },
];

test.each(shadows)(
  'rows that PostgreSQL $version wrote beside its volume are in the volume after the fix',
  async ({ version, mount, belongs }) => {
    const name = `shop${version}`;
    const file = `services:
  db:
    image: postgres:${version}
    environment: { POSTGRES_HOST_AUTH_METHOD: trust }
    volumes:
      - pg:${mount} # the rows
volumes: { pg: }
`;
    const shop = await makeStack(engine, { name, files: { 'compose.yaml': file } });
    const healthy = async () =>
      expect
        .poll(() => engine.docker(['inspect', '-f', '{{.State.Health.Status}}', `${name}-db-1`]), {
          timeout: 120_000,
        })
        .toBe('healthy');
    await shop.compose('up', '-d');
    await healthy();
    const sql = (text: string) => shop.exec('db', 'psql', '-U', 'postgres', '-qAtc', text);
    await sql('CREATE TABLE ledger (id int); INSERT INTO ledger SELECT generate_series(1, 1000)');
    const template = '{{range .Mounts}}{{.Destination}} {{.Name}}{{"\\n"}}{{end}}';
    const mounts = await engine.docker(['inspect', '-f', template, `${name}-db-1`]);
    const anonymous = /[0-9a-f]{64}/.exec(mounts)?.[0] ?? '';
    const inVolume = (volume: string, path: string) => existsSync(join(engine.volumePath(volume), path));
    const written = version === '18' ? '18/docker/PG_VERSION' : 'PG_VERSION';

    const found = (await audited(name)).filter(({ id }) => id === 'HF-V001');
    expect(found).toMatchObject([{ subject: { name: 'db' }, position: { line: 6 } }]);
    expect(found[0]?.evidence).toContain(`"${name}_pg" is empty.`);
    expect(found[0]?.evidence.join()).toMatch(/The newest file in "[0-9a-f]{64}" is of/);

    const { exit, stderr } = await attempt('audit', name, '--fix', '--yes', '--fail-on', 'never');
    expect([exit, stderr]).toEqual([0, expect.stringContaining('Mended')]);
    expect(readFileSync(join(shop.folder, 'compose.yaml'), 'utf8')).toBe(
      file.replace(`pg:${mount} #`, `pg:${belongs} #`),
    );
    await healthy();
    expect(await sql('SELECT count(*), max(id) FROM ledger')).toBe('1000|1000');
    expect(inVolume(`${name}_pg`, written)).toBe(true);
    expect((await audited(name)).filter(({ id }) => id === 'HF-V001')).toEqual([]);
    // A new container of the changed file has them too, and the anonymous volume is as it was.
    await shop.compose('down');
    await shop.compose('up', '-d');
    await healthy();
    expect(await sql('SELECT count(*) FROM ledger')).toBe('1000');
    expect(inVolume(anonymous, written)).toBe(true);
    await shop.compose('down', '-v');
  },
);

test('when Compose cannot make the container anew, it runs on as before, and the file is as it was', async () => {
  const file = `services:
  db:
    image: postgres:15
    environment: { POSTGRES_HOST_AUTH_METHOD: trust }
    volumes: ['pg:/var/lib/postgresql']
volumes: { pg: }
`;
  const shop = await makeStack(engine, { name: 'unlucky', files: { 'compose.yaml': file } });
  await shop.compose('up', '-d', '--wait');
  const before = await engine.docker(['inspect', '-f', '{{.Id}}', 'unlucky-db-1']);
  const broken = join(cli.folder, 'broken');
  await mkdir(broken);
  const script = `#!/bin/sh
shift
case " $* " in *" up "*) echo "no room for it" >&2; exit 1;; esac
exec docker-compose "$@"
`;
  await writeFile(join(broken, 'docker'), script, { mode: 0o755 });

  await writeFile(join(shop.folder, 'compose.yaml'), file.replace('trust', 'md5'));
  const changed = await attempt('audit', 'unlucky', '--fix', '--yes');
  expect([changed.exit, changed.stderr]).toEqual([
    1,
    expect.stringContaining('"db" is not what "unlucky-db-1" was made from'),
  ]);
  await writeFile(join(shop.folder, 'compose.yaml'), file);

  const env = {
    HOLDFAST_HOST: 'docker',
    DOCKER_HOST: engine.dockerHost,
    PATH: `${broken}:${process.env['PATH']}`,
  };
  const { exit, stderr } = await cli.attempt(['audit', 'unlucky', '--fix', '--yes'], { env });
  expect([exit, stderr]).toEqual([1, expect.stringMatching(/Cannot make "db" anew: .*no room for it/)]);
  expect(readFileSync(join(shop.folder, 'compose.yaml'), 'utf8')).toBe(file);
  expect(await engine.docker(['inspect', '-f', '{{.Id}} {{.State.Running}}', 'unlucky-db-1'])).toBe(
    `${before} true`,
  );
  // What was copied is not taken for the data: which of the two counts is for people to say.
  const again = await cli.attempt(['audit', 'unlucky', '--fix', '--yes', '--fail-on', 'never'], { env });
  expect([again.exit, again.stderr]).toEqual([0, expect.stringContaining('holds data already')]);
  await shop.compose('down', '-v');
});

test('a fix that is killed while the container is stopped leaves it to the next command, with its rows', async () => {
  const file = `services:
  db:
    image: postgres:15
    environment: { POSTGRES_HOST_AUTH_METHOD: trust }
    volumes: ['pg:/var/lib/postgresql']
volumes: { pg: }
`;
  const shop = await makeStack(engine, { name: 'killed', files: { 'compose.yaml': file } });
  await shop.compose('up', '-d', '--wait');
  const sql = (text: string) => shop.exec('db', 'psql', '-U', 'postgres', '-qAtc', text);
  await sql('CREATE TABLE ledger (id int); INSERT INTO ledger SELECT generate_series(1, 1000)');
  // The kill has to come before all of it is copied.
  await sql('CREATE TABLE bulk AS SELECT generate_series(1, 3000000) AS n');
  const running = () => engine.docker(['inspect', '-f', '{{.State.Running}}', 'killed-db-1']);

  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  let fixing: ChildProcess | undefined;
  const ended = cli.attempt(['audit', 'killed', '--fix', '--yes'], {
    env,
    onStderr: (child) => void (fixing = child),
  });
  await expect.poll(running, { timeout: 90_000, interval: 20 }).toBe('false');
  fixing?.kill('SIGKILL');
  expect((await ended).exit).toBe(137);

  await run('recover');
  expect(await running()).toBe('true');
  await shop.compose('up', '-d', '--wait', '--no-recreate');
  expect(await sql('SELECT count(*) FROM ledger')).toBe('1000');
  await shop.compose('down', '-v');
});
