import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../src/model/errors.ts';

/** The real command of this checkout or installation. */
export const holdfastProgram = join(import.meta.dirname, '../../bin/holdfast');

export interface ServiceRequest {
  readonly service: 'api' | 'plugin';
  /** The folder of its state and log. */
  readonly home: string;
  readonly socket: string;
  readonly args?: readonly string[];
  readonly signal: AbortSignal;
}

const startLimitMs = 30_000;
const stopLimitMs = 30_000;

export function holdfastEnvironment(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: home,
    HOLDFAST_STATE_DIR: join(home, 'state'),
    HOLDFAST_HOST: 'embedded',
  };
}

/**
 * Starts a service of Holdfast as a user does, and waits for its socket. `unavailable` when it does not
 * start.
 */
export async function startService({
  service,
  home,
  socket,
  args = [],
  signal,
}: ServiceRequest): Promise<AsyncDisposable> {
  mkdirSync(home, { recursive: true });
  mkdirSync(dirname(socket), { recursive: true });
  const logPath = join(home, `${service}.log`);
  const log = openSync(logPath, 'w');
  const child = spawn(holdfastProgram, [service, '--socket', socket, ...args], {
    env: holdfastEnvironment(home),
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = once(child, 'exit').catch(() => undefined);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await Promise.race([ended, sleep(stopLimitMs, undefined, { ref: false })]);
    child.kill('SIGKILL');
    for (const path of [socket, `${socket}.lock`]) rmSync(path, { force: true });
  };
  const deadline = performance.now() + startLimitMs;
  while (!existsSync(socket)) {
    if (child.exitCode !== null || signal.aborted || performance.now() > deadline) {
      const detail = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n');
      await stop();
      signal.throwIfAborted();
      throw new AppError('unavailable', `Cannot start "holdfast ${service}"`, { detail });
    }
    await sleep(20);
  }
  return { [Symbol.asyncDispose]: stop };
}
