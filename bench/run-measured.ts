import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../src/model/errors.ts';
import { endedChildrenCpuMs } from './child-usage.ts';
import { watchMemoryPeak } from './memory-peak.ts';
import type { Command } from './peers/peer.ts';

/** The cost of one process, from start to end. */
export interface Cost {
  readonly wallMs: number;
  /** User and system time of all its threads and child processes. */
  readonly cpuMs: number;
  /** The peak of its largest process. Undefined when it ended too soon to be measured. */
  readonly peakBytes: number | undefined;
}

export interface MeasureOptions {
  /** The process's home; its output goes into a file here, and is shown when it fails. */
  readonly home: string;
  readonly signal: AbortSignal;
}

const graceMs = 10_000;
const shortestSeenMs = 50;
/** Less than the C library takes: the process was measured only before it had begun. */
const leastPeakBytes = 256 * 1024;

/** Runs a command as a whole process and measures it. `failed` when it exits with anything but 0. */
export async function runMeasured(command: Command, { home, signal }: MeasureOptions): Promise<Cost> {
  signal.throwIfAborted();
  const logPath = join(home, 'output.log');
  const log = openSync(logPath, 'w');
  try {
    const cpuBeforeMs = endedChildrenCpuMs();
    const start = performance.now();
    const child = spawn(command.program, command.args, {
      cwd: command.cwd ?? home,
      env: { ...plainEnvironment(home), ...command.env },
      stdio: ['ignore', log, log],
    });
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    child.once('error', (error) => reject(failure(command, error.message)));
    child.once('exit', (code, killed) => resolve(code === 0 ? undefined : (killed ?? `exit code ${code}`)));
    using peak = child.pid === undefined ? undefined : watchMemoryPeak(child.pid);
    using _ = endOnAbort(child, signal);
    const trouble = await promise;
    const wallMs = performance.now() - start;
    const cpuMs = endedChildrenCpuMs() - cpuBeforeMs;
    signal.throwIfAborted();
    if (trouble !== undefined) throw failure(command, trouble, lastLines(logPath));
    const peakBytes = peak?.bytes ?? 0;
    const isSeen = wallMs >= shortestSeenMs && peakBytes >= leastPeakBytes;
    return { wallMs, cpuMs, peakBytes: isSeen ? peakBytes : undefined };
  } finally {
    closeSync(log);
    rmSync(logPath, { force: true });
  }
}

/** Keeps this user's own settings from affecting the program. */
function plainEnvironment(home: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: home, TMPDIR: home, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' };
}

/** Asks the process to end when the run is cancelled, and kills it when it does not. */
function endOnAbort(child: { kill(signal: NodeJS.Signals): boolean }, signal: AbortSignal): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', end, { once: true });
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', end);
      clearTimeout(timer);
    },
  };
}

function failure(command: Command, trouble: string, detail?: string): AppError {
  const words = [command.program, ...command.args].join(' ');
  return new AppError('failed', `"${words}" failed: ${trouble}`, { detail });
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-8).join('\n');
}
