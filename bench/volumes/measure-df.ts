import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '../../src/model/errors.ts';
import { summarize, type Summary } from '../statistics.ts';
import { timeOf } from './samples.ts';
import { holdfastEnvironment, holdfastProgram } from './volume-service.ts';

const run = promisify(execFile);

export interface DfFigures {
  readonly volumes: number;
  readonly files: number;
  readonly dfMs: Summary | undefined;
  readonly versionMs: Summary | undefined;
  readonly duMs: Summary | undefined;
}

export interface DfRequest {
  /** The folder of its state, which holds the volumes. */
  readonly home: string;
  readonly volumes: number;
  readonly filesInEach: number;
  readonly turns: number;
  readonly signal: AbortSignal;
}

const lookLimitMs = 300_000;

/**
 * Times `holdfast df` while a daemon keeps the sizes, `holdfast --version`, the least that a command can take, and
 * `du`, which reads everything. In turn, with warm caches.
 */
export async function measureDf({
  home,
  volumes,
  filesInEach,
  turns,
  signal,
}: DfRequest): Promise<DfFigures> {
  const env = holdfastEnvironment(home);
  const options = { env, signal, maxBuffer: 64 << 20 };
  const daemon = spawn(holdfastProgram, ['daemon', '--grace', '1s'], { env, stdio: 'ignore' });
  const ended = once(daemon, 'exit');
  try {
    await untilKept(
      volumes,
      async () => (await run(holdfastProgram, ['df', '--format', 'json'], options)).stdout,
    );
    const times = { df: [] as number[], version: [] as number[], du: [] as number[] };
    // The first turn loads what the others find loaded.
    for (let turn = -1; turn < turns; turn++) {
      const df = await timeOf(() => run(holdfastProgram, ['df'], options));
      const version = await timeOf(() => run(holdfastProgram, ['--version'], options));
      const du = await timeOf(() =>
        run('du', ['-s', '--apparent-size', join(home, 'state/volumes')], options),
      );
      if (turn < 0) continue;
      times.df.push(df);
      times.version.push(version);
      times.du.push(du);
    }
    const [dfMs, versionMs, duMs] = [summarize(times.df), summarize(times.version), summarize(times.du)];
    return { volumes, files: volumes * filesInEach, dfMs, versionMs, duMs };
  } finally {
    daemon.kill('SIGTERM');
    await ended;
  }
}

/** The daemon has looked at all of them. */
async function untilKept(volumes: number, ask: () => Promise<string>): Promise<void> {
  const deadline = performance.now() + lookLimitMs;
  for (;;) {
    const { isCurrent, total } = JSON.parse(await ask()) as {
      readonly isCurrent: boolean;
      readonly total: { readonly volumes: number; readonly unknown: number };
    };
    if (isCurrent && total.volumes === volumes && total.unknown === 0) return;
    if (performance.now() > deadline) throw new AppError('failed', 'The daemon does not keep the sizes');
    await sleep(500);
  }
}

export function formatDf({ volumes, files, dfMs, versionMs, duMs }: DfFigures): string {
  const of = (summary: Summary | undefined): string =>
    summary === undefined
      ? '–'
      : `${summary.median.toFixed(0)} ms (${summary.least.toFixed(0)}–${summary.most.toFixed(0)})`;
  const ratio = dfMs === undefined || duMs === undefined ? '–' : (duMs.median / dfMs.median).toFixed(1);
  return `holdfast df of ${volumes.toLocaleString('en')} volumes with ${files.toLocaleString('en')} files, kept by its daemon: ${of(dfMs)}; du: ${of(duMs)}, ${ratio} times as long; holdfast --version: ${of(versionMs)}`;
}
