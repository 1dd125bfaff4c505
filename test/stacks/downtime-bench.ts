/**
 * Measures how long a database is down for a backup: with stop, tar and start in a script, and with Holdfast.
 *
 *   node test/stacks/downtime-bench.ts [--gigabytes 2] [--rounds 3] [ext4] [btrfs] [xfs]
 *
 * ext4 is the disk below the temporary folder, whatever it is; the others are loop devices on it. Needs root.
 * A client writes all the time, and its longest wait for a commit is printed beside what each method reports.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { Cli } from '../cli/cli.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { startWriteLoad } from './write-load.ts';

const run = promisify(execFile);
const temporary = tmpdir();
const { values, positionals } = parseArgs({
  options: { gigabytes: { type: 'string', default: '2' }, rounds: { type: 'string', default: '3' } },
  allowPositionals: true,
});
const gigabytes = Number(values.gigabytes);
const rounds = Number(values.rounds);

interface Row {
  readonly way: string;
  readonly totalMs: number;
  /** As the method itself reports it. */
  readonly stillMs: number | undefined;
  /** As the client saw it. */
  readonly longestWaitMs: number;
  readonly note: string;
}

for (const type of positionals.length > 0 ? positionals : ['ext4', 'btrfs', 'xfs']) {
  console.log(`\n${type}, ${gigabytes} GB of PostgreSQL:`);
  for await (const { way, totalMs, stillMs, longestWaitMs, note } of measure(type)) {
    const still = stillMs === undefined ? '' : `, still ${Math.round(stillMs)} ms`;
    console.log(
      `  ${way}: ${seconds(totalMs)}${still}, longest commit ${Math.round(longestWaitMs)} ms  ${note}`,
    );
  }
}

async function* measure(type: string): AsyncGenerator<Row> {
  await using opened = new AsyncDisposableStack();
  if (type !== 'ext4') {
    const sizeBytes = (gigabytes * 5 + 6) * 2 ** 30;
    const disk = opened.use(mountLoopFilesystem(type as 'btrfs' | 'xfs', { sizeBytes }));
    process.env['TMPDIR'] = disk.path;
  }
  const engine = opened.use(await startPrivateEngine({ hasUnifiedGroups: true }));
  process.env['TMPDIR'] = temporary;
  await engine.importBusybox();
  await importImages(engine);
  await fill(engine);
  using cli = new Cli();
  await cli.init();
  yield await underLoad(engine, 'nothing', async () => {
    await sleep(5000);
    return undefined;
  });
  yield await stopTheWorld(engine);
  for (let round = 0; round <= rounds; round++)
    yield await underLoad(engine, `holdfast, ${round === 0 ? 'first' : 'later'}`, () => backUp(engine, cli));
}

async function fill(engine: PrivateEngine): Promise<void> {
  const settings = ['-c', 'max_wal_size=2GB', '-c', 'checkpoint_timeout=5min'];
  await engine.docker([
    ...['run', '-d', '--name', 'db', '-e', 'POSTGRES_PASSWORD=x', '-e', 'POSTGRES_USER=app_user'],
    ...[
      '-e',
      'POSTGRES_DB=app_db',
      '-v',
      'pg:/var/lib/postgresql/data',
      'postgres:17',
      'postgres',
      ...settings,
    ],
  ]);
  await engine.docker([
    'run',
    '-d',
    '--name',
    'cache',
    '-v',
    'redis:/data',
    'redis:8',
    'redis-server',
    '--appendonly',
    'yes',
  ]);
  await untilReady(engine);
  await engine.docker([
    'exec',
    'db',
    'pgbench',
    '-U',
    'app_user',
    '-q',
    '-i',
    '-s',
    String(Math.ceil(68 * gigabytes)),
    'app_db',
  ]);
  await engine.docker([
    'exec',
    'db',
    'psql',
    '-U',
    'app_user',
    'app_db',
    '-c',
    'CREATE TABLE ledger (id bigint PRIMARY KEY, note text)',
    '-c',
    'CHECKPOINT',
  ]);
}

async function untilReady(engine: PrivateEngine): Promise<void> {
  const ask = ['exec', 'db', 'psql', '-U', 'app_user', '-h', '127.0.0.1', 'app_db', '-c', 'SELECT 1'];
  for (;;) {
    const isReady = await run('docker', ask, { env: { ...engine.env, PGPASSWORD: 'x' } }).then(
      () => true,
      (error: Error) => /password/.test(error.message),
    );
    if (isReady) return;
    await sleep(20);
  }
}

/** Under a steady load of updates all over the tables, with one client that measures its waits. */
async function underLoad(
  engine: PrivateEngine,
  way: string,
  work: () => Promise<{ readonly stillMs: number | undefined; readonly note: string } | undefined>,
): Promise<Row> {
  const bench = [
    'exec',
    'db',
    'pgbench',
    '-U',
    'app_user',
    '-n',
    '-c',
    '2',
    '-R',
    '100',
    '-T',
    '600',
    'app_db',
  ];
  await engine.docker(['exec', '-d', ...bench.slice(1)]);
  const last = await engine.docker([
    'exec',
    'db',
    'psql',
    '-U',
    'app_user',
    'app_db',
    '-Atc',
    'SELECT coalesce(max(id), 0) FROM ledger',
  ]);
  const load = startWriteLoad(engine, { postgres: 'db', redis: 'cache', firstRow: Number(last) + 1 });
  await sleep(2000);
  const started = performance.now();
  const done = await work();
  const totalMs = performance.now() - started;
  await sleep(500);
  await load.stop();
  await engine.docker(['exec', 'db', 'sh', '-c', 'kill $(pidof pgbench)']).catch(() => undefined);
  return {
    way,
    totalMs,
    stillMs: done?.stillMs,
    longestWaitMs: load.longestWait().postgres,
    note: done?.note ?? '',
  };
}

async function stopTheWorld(engine: PrivateEngine): Promise<Row> {
  const target = await mkdtemp(join(temporary, 'tar-'));
  const started = performance.now();
  await engine.docker(['stop', 'db']);
  await engine.docker([
    ...['run', '--rm', '-v', 'pg:/source:ro', '-v', `${target}:/backup`, 'busybox'],
    ...['tar', 'czf', '/backup/pg.tar.gz', '-C', '/source', '.'],
  ]);
  await engine.docker(['start', 'db']);
  await untilReady(engine);
  const totalMs = performance.now() - started;
  await rm(target, { recursive: true });
  return { way: 'stop, tar czf, start', totalMs, stillMs: totalMs, longestWaitMs: totalMs, note: '' };
}

interface Evidence {
  readonly stillMs?: number;
  readonly consistency?: string;
  readonly inFlight?: { readonly passes: number; readonly files: number; readonly bytes: number };
}

async function backUp(
  engine: PrivateEngine,
  cli: Cli,
): Promise<{ stillMs: number | undefined; note: string }> {
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  const { exit, stdout, stderr } = await cli.attempt(['backup', 'pg', '--format', 'json'], { env });
  if (exit !== 0) throw new Error(`The backup ended with ${exit}: ${stderr}`);
  const [outcome] = (
    JSON.parse(stdout) as { outcomes: { grade: string; gradeReason: string; evidence?: Evidence }[] }
  ).outcomes;
  const { stillMs, consistency = '?', inFlight } = outcome?.evidence ?? {};
  const seen = inFlight === undefined ? '' : `, ${inFlight.files} files changed in ${inFlight.passes} passes`;
  return { stillMs, note: `${outcome?.grade} by ${consistency}${seen}` };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
