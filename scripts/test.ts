import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawn } from 'node:child_process';
import {
  endProcesses,
  findProcesses,
  mountPoints,
  mountsBelow,
  removeFolder,
  unmountAll,
} from '../test/setup/leftovers.ts';
import { rootArchive } from '../test/docker/images.ts';
import type { TestSummary } from '../test/setup/summary-reporter.ts';
import { installPackages, missingPackages } from './debian-packages.ts';
import { omissionsOf, reasonAgainst } from './lane-abilities.ts';
import { lanes, type Lane } from './lanes.ts';
import { judge, type LaneOutcome } from './test-verdict.ts';

const root = dirname(import.meta.dirname);
const help = `npm test                       every lane that this machine can run
npm test -- --lane NAME        only that lane (may be repeated): ${lanes.map((lane) => lane.name).join(', ')}
npm test -- PATH…              only test files whose path contains PATH
npm test -- -t PATTERN         only tests whose name matches; any other option of vitest works too
CI=true or HOLDFAST_ALL_LANES=1: fails when a lane can't run, has no test, or a test is skipped`;

// Without root, or under cron, the PATH may lack sbin, where mkfs and dockerd are.
process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(help);
    return 0;
  }
  const request = readArguments(args);
  if (typeof request === 'string') {
    console.error(request);
    return 2;
  }
  await installMissing(request.lanes);
  const outcomes: LaneOutcome[] = [];
  for (const lane of request.lanes) {
    outcomes.push({ lane: lane.name, reason: await reasonAgainst(lane), omission: omissionsOf(lane) });
  }
  const able = request.lanes.filter((_, index) => outcomes[index]?.reason === undefined);
  const omitted = outcomes.flatMap(({ omission }) =>
    omission === undefined ? [] : `--exclude=${omission.files}`,
  );
  const ended = new AbortController();
  const before = processorTimes();
  const images = request.rest.length === 0 ? makeImages(able, ended.signal) : undefined;
  const run = await runLanes(able, [...omitted, ...request.rest]);
  ended.abort();
  await images;
  const verdict = judge({
    outcomes,
    summary: run.summary,
    exitCode: run.exitCode,
    leaks: run.leaks,
    strict: process.env['CI'] === 'true' || process.env['HOLDFAST_ALL_LANES'] === '1',
    filtered: request.rest.length > 0,
  });
  const lines = [...verdict.lines, describeProcessors(before)];
  console.log(`\n${lines.join('\n')}\n\n${verdict.passed} passed, ${verdict.failed} failed`);
  return verdict.failed === 0 ? 0 : 1;
}

/** Of all processors together, whatever used them. */
function processorTimes(): { readonly busyMs: number; readonly allMs: number } {
  const times = cpus().map((processor) => processor.times);
  const idleMs = times.reduce((sum, { idle }) => sum + idle, 0);
  const busyMs = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0);
  return { busyMs, allMs: busyMs + idleMs };
}

/** Where they are not busy all the time, more files could run side by side. */
function describeProcessors(before: ReturnType<typeof processorTimes>): string {
  const after = processorTimes();
  const busyMs = after.busyMs - before.busyMs;
  const share = busyMs / Math.max(1, after.allMs - before.allMs);
  return `the machine's processors worked ${Math.round(busyMs / 1000)} s, ${Math.round(share * 100)}% of the time`;
}

interface TestRequest {
  readonly lanes: readonly Lane[];
  /** The arguments for vitest: paths and its own options. */
  readonly rest: readonly string[];
}

/** A string says what is wrong with the arguments. */
function readArguments(args: readonly string[]): TestRequest | string {
  const names: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    if (argument === '--lane') names.push(args[(index += 1)] ?? '');
    else if (argument.startsWith('--lane=')) names.push(argument.slice('--lane='.length));
    else if (argument === '--watch' || argument === '-w') return 'npm test runs once. To watch: npx vitest';
    else rest.push(argument);
  }
  const unknown = names.find((name) => !lanes.some((lane) => lane.name === name));
  if (unknown !== undefined) {
    return `There is no lane "${unknown}": choose from ${lanes.map((lane) => lane.name).join(', ')}`;
  }
  const chosen = lanes.filter(({ name }) => names.length === 0 || names.includes(name));
  return { lanes: chosen, rest };
}

async function installMissing(wanted: readonly Lane[]): Promise<void> {
  const missing = missingPackages(
    wanted.flatMap((lane) => [...lane.packages, ...(lane.demanding?.packages ?? [])]),
  );
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  console.log(`Installing what the tests need: apt-get install ${missing.join(' ')}`);
  const trouble = await installPackages(missing);
  if (trouble !== undefined) console.error(`apt-get failed:\n${trouble}`);
}

/**
 * Makes the root of the databases' images beside the first tests: mostly it waits for a mirror and for the disk. A test that
 * needs it earlier waits for it, and says why it cannot be made.
 */
async function makeImages(able: readonly Lane[], signal: AbortSignal): Promise<void> {
  if (able.some(({ name }) => name === 'stacks')) await rootArchive(signal).catch(() => undefined);
}

interface LanesRun {
  readonly exitCode: number;
  readonly summary: TestSummary | undefined;
  /** Leftovers of the whole run. */
  readonly leaks: readonly string[];
}

async function runLanes(able: readonly Lane[], rest: readonly string[]): Promise<LanesRun> {
  if (able.length === 0) return { exitCode: 0, summary: undefined, leaks: [] };
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'hf-')));
  chmodSync(base, 0o711);
  const summaryPath = join(base, 'summary.json');
  const mark = randomBytes(12).toString('hex');
  const mountsBefore = new Set(mountPoints());
  try {
    const exitCode = await runVitest(able, rest, {
      ...process.env,
      TMPDIR: base,
      HOLDFAST_TEST_RUN: mark,
      HOLDFAST_TEST_SUMMARY: summaryPath,
    });
    const summary = existsSync(summaryPath)
      ? (JSON.parse(readFileSync(summaryPath, 'utf8')) as TestSummary)
      : undefined;
    rmSync(summaryPath, { force: true });
    return { exitCode, summary, leaks: await sweep(base, mark, mountsBefore) };
  } finally {
    removeFolder(base);
  }
}

async function runVitest(
  able: readonly Lane[],
  rest: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const args = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...able.map(({ name }) => `--project=${name}`),
    ...(process.stdout.isTTY ? [] : ['--no-color']),
    '--reporter=default',
    `--reporter=${join(root, 'test/setup/summary-reporter.ts')}`,
    ...rest,
  ];
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // Ctrl-C at the terminal also reaches vitest; this process continues, to clean up and summarize.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  child.on('error', () => resolve(127));
  child.on('close', (code) => resolve(code ?? 1));
  const exitCode = await promise;
  process.off('SIGINT', pass);
  process.off('SIGTERM', pass);
  return exitCode;
}

/** Ends, unmounts and removes leftovers of a run, and lists them. */
async function sweep(base: string, mark: string, before: ReadonlySet<string>): Promise<string[]> {
  const processes = await findProcesses(`HOLDFAST_TEST_RUN=${mark}`, { graceMs: 10_000 });
  await endProcesses(processes);
  const mounts = mountsBelow(base);
  unmountAll(mounts);
  // On a shared machine, mounts elsewhere may belong to others.
  const strays = process.env['CI'] === 'true' ? mountPoints().filter((point) => !before.has(point)) : [];
  const files = readdirSync(base).filter((name) => name.startsWith('hf-'));
  return [
    ...processes.map((found) => `a running process: ${found.pid} ${found.command}`),
    ...[...mounts, ...strays].map((point) => `a mount: ${point}`),
    ...files.map((name) => `a temporary folder: ${join(base, name)}`),
  ];
}
