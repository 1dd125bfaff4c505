import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import type { TopReport } from '../../../src/insight/index.ts';
import { command } from '../../support/holdfast-command.ts';
import type { OnEngine } from '../../support/on-engine.ts';

/** Bytes. */
export interface IoCount {
  readonly read: number;
  readonly written: number;
}

export interface RunningTop extends AsyncDisposable {
  /** Waits for a look at what is done by now. */
  untilSeen(): Promise<void>;
  /** All that it has told of one that was there all the time. */
  total(kind: 'containers' | 'volumes', name: string): IoCount;
}

/** `top`, which has begun to count. */
export async function startTop(on: OnEngine): Promise<RunningTop> {
  const env = { ...process.env, ...on.environment(), HOLDFAST_STATE_DIR: on.cli.stateDir };
  const args = ['top', '--interval', '1s', '--format', 'json'];
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const reports: TopReport[] = [];
  createInterface(child.stdout).on('line', (line) => reports.push(JSON.parse(line) as TopReport));
  const untilMore = async (count: number): Promise<void> => {
    const wanted = reports.length + count;
    await expect.poll(() => reports.length).toBeGreaterThanOrEqual(wanted);
  };
  await untilMore(1);
  return {
    // The next one may have been under way.
    untilSeen: () => untilMore(2),
    total(kind, name) {
      const rows = reports.map((report) => ({
        seconds: report.seconds,
        rates: report[kind].find((row) => row.name === name)?.rates,
      }));
      const sum = (which: 'readBytes' | 'writtenBytes'): number =>
        Math.round(
          rows.reduce((all, { seconds, rates }) => all + (rates?.[which] ?? Number.NaN) * seconds, 0),
        );
      return { read: sum('readBytes'), written: sum('writtenBytes') };
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
    },
  };
}
