import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '../../src/model/errors.ts';
import { speedRatio, summarize, type Summary } from '../statistics.ts';
import { timeOfCommand, type UsageCommand } from './measure-usage.ts';
import { holdfastEnvironment } from './volume-service.ts';

const run = promisify(execFile);

export interface DfFigures {
  readonly volumes: number;
  readonly files: number;
  readonly dfMs: Summary | undefined;
  readonly versionMs: Summary | undefined;
  readonly duMs: Summary | undefined;
  /** `docker system df -v` of volumes with the same content. */
  readonly dockerMs: Summary | undefined;
}

export interface DfRequest {
  /** An installed package's, as users have it: one in a checkout looks at the sources first. */
  readonly program: string;
  /** The folder of its state, which holds the volumes. */
  readonly home: string;
  readonly docker: UsageCommand | undefined;
  readonly volumes: number;
  readonly filesInEach: number;
  readonly turns: number;
  readonly signal: AbortSignal;
}

const lookLimitMs = 300_000;

/**
 * Times `holdfast df` while a daemon keeps the sizes, `holdfast --version`, the least that a command can take, and
 * what reads everything: `du`, and `docker system df`. In turn, with warm caches.
 */
export async function measureDf({
  program,
  home,
  docker,
  volumes,
  filesInEach,
  turns,
  signal,
}: DfRequest): Promise<DfFigures> {
  const env = holdfastEnvironment(home);
  const options = { env, signal, maxBuffer: 64 << 20 };
  const daemon = spawn(program, ['daemon', '--grace', '1s'], { env, stdio: 'ignore' });
  const ended = once(daemon, 'exit');
  try {
    await untilKept(volumes, async () => (await run(program, ['df', '--format', 'json'], options)).stdout);
    const folders = join(home, 'state/volumes');
    const commands = {
      dfMs: { program, args: ['df'], env },
      versionMs: { program, args: ['--version'], env },
      duMs: { program: 'du', args: ['-s', '--apparent-size', folders], env },
      ...(docker && { dockerMs: docker }),
    };
    const times = new Map(Object.keys(commands).map((name): [string, number[]] => [name, []]));
    // The first turn loads what the others find loaded.
    for (let turn = -1; turn < turns; turn++) {
      for (const [name, command] of Object.entries(commands)) {
        const ms = await timeOfCommand(command, signal);
        if (turn >= 0) times.get(name)?.push(ms);
      }
    }
    const of = (name: string): Summary | undefined => summarize(times.get(name) ?? []);
    return {
      ...{ volumes, files: volumes * filesInEach },
      ...{ dfMs: of('dfMs'), versionMs: of('versionMs'), duMs: of('duMs'), dockerMs: of('dockerMs') },
    };
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

export function formatDf({ volumes, files, dfMs, versionMs, duMs, dockerMs }: DfFigures): string {
  const of = (summary: Summary | undefined): string =>
    summary === undefined
      ? '–'
      : `${summary.median.toFixed(0)} ms (${summary.least.toFixed(0)}–${summary.most.toFixed(0)})`;
  const peer = (name: string, peerMs: Summary | undefined): string => {
    const ratio = speedRatio(dfMs?.median, peerMs?.median);
    return `${name}: ${of(peerMs)}${ratio === undefined ? '' : `, ${ratio.toFixed(1)} times as long`}`;
  };
  return [
    `holdfast df of ${volumes.toLocaleString('en')} volumes with ${files.toLocaleString('en')} files, kept by its daemon: ${of(dfMs)}`,
    peer('du', duMs),
    peer('docker system df -v', dockerMs),
    `holdfast --version: ${of(versionMs)}`,
  ].join('; ');
}
