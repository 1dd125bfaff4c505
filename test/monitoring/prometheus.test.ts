import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../../scripts/run-command.ts';
import { Cli } from '../cli/cli.ts';
import { freePort } from '../docker/free-port.ts';
import { command } from '../support/holdfast-command.ts';

const docs = join(import.meta.dirname, '../../docs/monitoring');
const rules = join(docs, 'holdfast.rules.yml');

let folder: string;
let opened: AsyncDisposableStack;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'monitoring-'));
  opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
});
afterEach(() => opened.disposeAsync());

interface Running {
  readonly child: ChildProcess;
  readonly said: () => string;
  end(signal: NodeJS.Signals): Promise<void>;
}

function start(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => (said += text));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  opened.defer(() => end('SIGKILL'));
  return { child, said: () => said, end };
}

function startDaemon(cli: Cli, port: number): Running {
  return start(command, ['daemon', '--grace', '0s', '--metrics', `127.0.0.1:${port}`], {
    HOLDFAST_STATE_DIR: cli.stateDir,
    HOLDFAST_HOST: 'embedded',
    TZ: 'UTC',
  });
}

async function scrape(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
  return answer?.ok === true ? await answer.text() : '';
}

async function startPrometheus(target: number): Promise<(path: string) => Promise<string>> {
  const port = await freePort();
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ['${rules}']
scrape_configs:
  - job_name: holdfast
    static_configs: [{ targets: ['127.0.0.1:${target}'] }]
`,
  );
  const prometheus = start('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const ask = async (path: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => undefined);
    return answer?.ok === true ? await answer.text() : '';
  };
  await expect
    .poll(() => ask('targets'), { timeout: 120_000, message: prometheus.said() })
    .toContain('"health":"up"');
  return ask;
}

interface Alert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

async function alertsOf(ask: (path: string) => Promise<string>): Promise<readonly Alert[]> {
  const text = await ask('alerts');
  if (text === '') return [];
  return (JSON.parse(text) as { readonly data: { readonly alerts: readonly Alert[] } }).data.alerts;
}

test('a real Prometheus fires for a backup that is missed, and not for one that is slow or good', async () => {
  const cli = opened.use(new Cli());
  await cli.init();
  for (const name of ['good', 'missed', 'slow', 'weekly'])
    writeFileSync(join(await cli.volume(name), 'data'), Buffer.alloc(300_000, name));
  writeFileSync(join(cli.root('slow'), 'data'), randomBytes(2 << 20));
  await cli.run('repo', 'add', 'away', join(cli.folder, 'away'));
  await cli.run('repo', 'add', 'thin', join(cli.folder, 'thin'), '-o', 'limit-upload=4KiB');
  renameSync(join(cli.folder, 'away'), join(cli.folder, 'gone'));
  // Due half an hour ago, which is later than an hourly backup may be.
  const minute = new Date(Date.now() - 30 * 60_000).getUTCMinutes();
  writeFileSync(
    join(cli.stateDir, 'holdfast.yaml'),
    `policies:
  good: { volumes: [good], schedule: '${minute} * * * *' }
  missed: { volumes: [missed], schedule: '${minute} * * * *', repositories: [away] }
  slow: { volumes: [slow], schedule: '${minute} * * * *', repositories: [thin] }
  weekly: { volumes: [weekly], schedule: '@weekly' }
daemon: { parallel: 4 }
`,
  );
  const port = await freePort();
  const first = startDaemon(cli, port);
  await expect.poll(() => scrape(port), { timeout: 120_000 }).toContain('volume="weekly"');
  await first.end('SIGTERM');
  using catalog = new DatabaseSync(join(cli.stateDir, 'catalog.db'), { timeout: 10_000 });
  // As if it had not run for a while: tasks of an hour are due, the one of a week is not.
  catalog
    .prepare(`UPDATE policy_cursor SET handled_until = ? WHERE task NOT LIKE '%weekly%'`)
    .run(new Date(Date.now() - 50 * 60_000).toISOString());
  const daemon = startDaemon(cli, port);
  const ask = await startPrometheus(port);
  await expect
    .poll(() => alertsOf(ask), { timeout: 120_000 })
    .toMatchObject([
      {
        state: 'firing',
        labels: { alertname: 'HoldfastBackupMissed', policy: 'missed', volume: 'missed', kind: 'volume' },
      },
    ]);
  // The slow one is as late, and under way; the good one was caught up.
  await expect.poll(() => scrape(port), { timeout: 120_000 }).toMatch(/_success_.*volume="good"/);
  const text = await scrape(port);
  expect(text).toMatch(/running_since_timestamp_seconds\{.*policy="slow"/);
  expect(valueOf(text, 'next_due', 'slow')).toBe(valueOf(text, 'next_due', 'missed'));
  expect(valueOf(text, 'next_due', 'good')).toBeGreaterThan(Date.now() / 1000);
  expect((await alertsOf(ask)).map(({ labels }) => labels['policy'])).toEqual(['missed']);
  await daemon.end('SIGKILL');
  // It waits five minutes before it fires.
  await expect
    .poll(async () => (await alertsOf(ask)).map(({ labels }) => labels['alertname']), { timeout: 120_000 })
    .toContain('HoldfastSilent');
});

function valueOf(text: string, name: string, policy: string): number {
  const line = text
    .split('\n')
    .find(
      (one) =>
        one.startsWith(`holdfast_policy_${name}`) && one.includes(`action="backup",policy="${policy}"`),
    );
  return Number(line?.split(' ').at(-1));
}

test('promtool finds nothing wrong with the metrics, served or printed', async () => {
  const cli = opened.use(new Cli());
  await cli.init();
  await cli.volume('pg');
  const evil = cli.mkdir('a"b\\c\nd\u001be');
  const config = { policies: { p: { schedule: '@hourly', paths: [evil], volumes: ['pg'] } } };
  writeFileSync(join(cli.stateDir, 'holdfast.yaml'), JSON.stringify(config));
  await cli.run('policy', 'run', 'p');
  await cli.run('check', '--read-data');
  await cli.run('prune');
  const file = join(folder, 'holdfast.prom');
  await cli.run('metrics', '--output', file);
  const port = await freePort();
  startDaemon(cli, port);
  await expect.poll(() => scrape(port), { timeout: 120_000 }).toContain('volume="pg"');
  const written = readFileSync(file, 'utf8');
  expect(written).toMatch(/^holdfast_look_timestamp_seconds \d/m);
  expect(written).toMatch(/^holdfast_policy_next_due_timestamp_seconds\{action="backup".*volume="pg"/m);
  for (const text of [written, await scrape(port)]) {
    for (const word of ['_expected_interval_', '_last_success_', '_last_verified_', '_grade', '_protected'])
      expect(text).toContain(word);
    expect(text).toMatch(/^holdfast_repository_size_bytes\{repository="default"\} [1-9]/m);
    expect(text).toMatch(/^holdfast_repository_unused_bytes\{repository="default"\} \d/m);
    expect(text).toMatch(
      /^holdfast_repository_check_timestamp_seconds\{repository="default",outcome="good"\} \d/m,
    );
    writeFileSync(file, text);
    const checked = await runCommand('sh', ['-c', 'promtool check metrics < "$1"', 'sh', file]);
    expect(checked).toMatchObject({ exitCode: 0, output: '' });
  }
  const ask = await startPrometheus(port);
  for (const { title, targets } of readPanels())
    for (const { expr, legendFormat } of targets) {
      const found = async (): Promise<QueryAnswer['data']['result']> =>
        (JSON.parse(await ask(`query?query=${encodeURIComponent(expr)}`)) as QueryAnswer).data.result;
      // Of these there is nothing to tell without an engine, or before a day has passed.
      const isRare = /^(Growth|Days until|Containers kept|Time to recover|.*drill|Read from|Written to)/;
      // Prometheus calls a target healthy before it stores what it has read, and sizes follow the daemon's first look.
      if (!isRare.test(title)) await expect.poll(found, { message: `${title}: ${expr}` }).not.toEqual([]);
      const asked = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      for (const { metric } of await found())
        expect(Object.keys(metric), title).toEqual(expect.arrayContaining(asked));
    }
  // A scrape does not wait for what another process writes.
  // The daemon may be writing just then.
  using other = new DatabaseSync(join(cli.stateDir, 'catalog.db'), { timeout: 30_000 });
  other.exec('BEGIN EXCLUSIVE');
  expect(await scrape(port)).toContain('volume="pg"');
  other.exec('ROLLBACK');
});

interface QueryAnswer {
  readonly data: { readonly result: readonly { readonly metric: Readonly<Record<string, string>> }[] };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig: { readonly defaults: { readonly thresholds?: object } };
}

function readPanels(): readonly Panel[] {
  const text = readFileSync(join(docs, 'dashboard.json'), 'utf8');
  return (JSON.parse(text) as { readonly panels: readonly Panel[] }).panels;
}

test('the panels of the dashboard lie beside each other, and none takes Grafana’s own thresholds', () => {
  const panels = readPanels();
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  // Without thresholds, 80 and more are red: seconds since a drill, days until a disk is full.
  const coloured = panels.filter(({ type }) => type === 'stat' || type === 'bargauge');
  expect(coloured.length).toBeGreaterThan(10);
  expect(coloured.filter(({ fieldConfig }) => fieldConfig.defaults.thresholds === undefined)).toEqual([]);
});

test('promtool proves the rules: an hourly and a weekly policy together, silence, and a torn backup', async () => {
  expect(await runCommand('promtool', ['check', 'rules', rules])).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('3 rules found'),
  });
  const file = join(folder, 'rules.test.yml');
  const cases = readFileSync(join(import.meta.dirname, 'rules.test.yml'), 'utf8');
  writeFileSync(file, cases.replace('RULES', rules));
  expect(await runCommand('promtool', ['test', 'rules', file])).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('SUCCESS'),
  });
});

test('the dashboard and the rules ask only for metrics that there are', async () => {
  const cli = opened.use(new Cli());
  const known = new Set(
    (await cli.json<readonly { readonly name: string }[]>('metrics')).map(({ name }) => name),
  );
  const text = ['dashboard.json', 'holdfast.rules.yml'].map((name) => readFileSync(join(docs, name), 'utf8'));
  const asked = [...text.join('\n').matchAll(/holdfast_[a-z_]+/g)].map(([name]) => name);
  expect(text.map((one) => one.includes('holdfast_'))).toEqual([true, true]);
  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});
