import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { command } from '../support/holdfast-command.ts';
import { Cli } from './cli.ts';

let cli: Cli;
let root: string;
beforeEach(async () => {
  cli = new Cli();
  root = await cli.volume('pg');
  writeFileSync(join(root, 'data'), 'mine');
});
afterEach(() => cli[Symbol.dispose]());

interface Report {
  readonly volumes: readonly {
    readonly tool: string;
    readonly verdict: string | null;
    readonly ddRate: number | null;
    readonly measures: readonly {
      readonly name: string;
      readonly rate: number;
      readonly latency: { readonly p99Ms: number } | null;
    }[];
    readonly past: { readonly runs: number; readonly changes: readonly { readonly name: string }[] } | null;
    readonly fio: Readonly<Record<string, FioDocument>>;
  }[];
  readonly comparison: readonly { readonly name: string; readonly percent: number }[];
}

interface FioDocument {
  readonly 'global options': Readonly<Record<string, string>>;
  readonly jobs: readonly {
    readonly 'job options': Readonly<Record<string, string>>;
    readonly error: number;
    readonly write: { readonly iops: number; readonly bw_bytes: number };
    readonly sync: { readonly lat_ns: { readonly percentile: Readonly<Record<string, number>> } };
  }[];
}

test('a benchmark tells what fio says, remembers it, and leaves the volume as it was', async () => {
  const flags = ['--quick', '--size', '8MiB'];
  const [first] = (await cli.json<Report>('bench', 'pg', ...flags)).volumes;
  expect(first?.measures.map(({ name }) => name)).toEqual([
    ...['commit-2300', 'commit-8k', 'stream-write', 'stream-read', 'random-write', 'random-read'],
    ...['files-create', 'files-stat', 'files-read', 'files-remove'],
  ]);
  for (const { rate } of first?.measures ?? []) expect(rate).toBeGreaterThan(0);
  expect(first?.tool).toMatch(/^fio-\d/);
  expect(first?.verdict).toMatch(/one client can commit [\d,.]+ times a second, 99% within/);
  expect(first?.ddRate).toBeGreaterThan(0);
  expect(first?.past).toBeNull();
  // fio was asked for commits of one client, and its figures are those of the report.
  const job = first?.fio['commit-8k']?.jobs[0];
  expect(job).toMatchObject({
    error: 0,
    'job options': { rw: 'write', bs: '8k', fdatasync: '1', size: String(8 << 20) },
  });
  const commit = first?.measures.find(({ name }) => name === 'commit-8k');
  expect(commit?.rate).toBe(job?.write.iops);
  expect(commit?.latency?.p99Ms).toBe((job?.sync.lat_ns.percentile['99.000000'] ?? 0) / 1e6);
  expect(readdirSync(root)).toEqual(['data']);
  const again = (await cli.json<Report>('bench', 'pg', ...flags, '--profile', 'files')).volumes[0];
  expect(again?.past?.runs).toBe(1);
  expect(again?.past?.changes.map(({ name }) => name)).toContain('files-create');
  expect(Object.keys(again?.fio ?? {})).toEqual([]);
});

test('two volumes are shown side by side, by a test of our own where fio is not installed', async () => {
  await cli.volume('web');
  const bin = cli.mkdir('bin');
  for (const name of readdirSync('/usr/bin'))
    if (name !== 'fio') symlinkSync(`/usr/bin/${name}`, join(bin, name));
  const args = ['bench', 'pg', 'web', '--quick', '--size', '4MiB', '--profile', 'stream,files'];
  const env = { PATH: bin };
  const { stdout, stderr, exit } = await cli.attempt([...args, '--format', 'json'], { env });
  expect(exit, stderr).toBe(0);
  const report = JSON.parse(stdout) as Report;
  expect(report.volumes.map(({ tool }) => tool)).toEqual(['built-in', 'built-in']);
  expect(report.volumes[0]?.measures.map(({ name }) => name)).toEqual([
    ...['stream-write', 'files-create', 'files-stat', 'files-read', 'files-remove'],
  ]);
  expect(report.comparison.length).toBe(report.volumes[0]?.measures.length);
  expect(stderr).toContain('fio is not installed');
});

test('what is asked wrongly, or wants too much room without what a kill has left, is refused', async () => {
  mkdirSync(join(root, '.holdfast-bench-0123456789abcdef'));
  for (const [args, exit, words] of [
    [['pg', '--size', '900TiB'], 1, 'wants three times its size'],
    [['pg', '--size', '1KiB'], 2, 'too small'],
    [['pg', '--profile', 'fast'], 2, 'There is no profile "fast"'],
    [['pg', 'pg'], 2, 'named twice'],
    [['a', 'b', 'c'], 2, 'not more'],
    [['nosuch'], 4, 'nosuch'],
    [['./pg'], 2, 'it is a path, and no volume'],
  ] as const)
    expect(await cli.attempt(['bench', '--quick', ...args])).toMatchObject({
      exit,
      stderr: expect.stringContaining(words),
    });
  expect(readdirSync(root)).toEqual(['data']);
});

test.each(['recover', 'doctor'])('what a killed benchmark has left is removed by %s', async (name) => {
  await benchAndSignal('SIGKILL');
  expect(leftIn(root)).toHaveLength(1);
  if (name === 'recover') {
    const { stderr } = await cli.attempt([name]);
    expect(stderr).toContain('What a killed benchmark has left in "pg" was removed.');
  } else await cli.attempt([name]);
  expect(readdirSync(root)).toEqual(['data']);
});

test('a backup leaves out what a killed benchmark has left, and a cancelled one leaves nothing', async () => {
  mkdirSync(join(root, '.holdfast-bench-0123456789abcdef'));
  await cli.init();
  await cli.run('backup', 'pg');
  expect(await cli.run('ls', 'pg')).not.toContain('holdfast-bench');
  await benchAndSignal('SIGINT');
  expect(readdirSync(root)).toEqual(['data']);
});

test('a volume that an engine removes meanwhile is told, and not what the kernel says of its folder', async () => {
  const benchmark = cli.attempt(['bench', 'pg', '--quick', '--size', '1MiB', '--profile', 'files,database']);
  // Its folder is there before fio begins, and has no files before that ends.
  await expect.poll(() => leftIn(root), { interval: 1 }).toHaveLength(1);
  rmSync(root, { recursive: true });
  expect(await benchmark).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('Volume "pg" was removed while its speed was measured') as string,
  });
});

function leftIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('.holdfast-bench-'));
}

/** Signals a benchmark once its small files are being made. */
async function benchAndSignal(signal: NodeJS.Signals): Promise<void> {
  const env = { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' };
  const args = ['bench', 'pg', '--quick', '--size', '4MiB', '--profile', 'files'];
  const before = new Set(leftIn(root));
  const isMeasuring = (): boolean =>
    leftIn(root).some((name) => !before.has(name) && existsSync(join(root, name, 'f0')));
  // One that comes too late is made again.
  for (let tries = 0; tries < 10; tries += 1) {
    const child = spawn(command, args, { env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    await Promise.race([expect.poll(isMeasuring, { interval: 1 }).toBe(true), ended]);
    child.kill(signal);
    const [code, by] = (await ended) as [number | null, NodeJS.Signals | null];
    if (signal === 'SIGKILL' ? by === signal && leftIn(root).length > 0 : code !== 0) return;
  }
  throw new Error('No benchmark was caught at work');
}
