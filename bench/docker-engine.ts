import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { AppError } from '../src/model/errors.ts';
import { ApiClient } from './api-client.ts';

/** A separate, empty Docker Engine. */
export interface DockerEngine extends AsyncDisposable {
  readonly socket: string;
}

const startLimitMs = 60_000;
const stopLimitMs = 30_000;

/** Starts the engine below `folder`. `unavailable` when it does not start. */
export async function startDockerEngine(folder: string, signal: AbortSignal): Promise<DockerEngine> {
  const home = join(folder, 'engine');
  const socket = join(home, 'docker.sock');
  const logPath = join(home, 'log');
  mkdirSync(home);
  const log = openSync(logPath, 'w');
  const child = spawn('dockerd', engineArguments(home, socket), { stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = new Promise<void>((done) => {
    child.once('error', () => done());
    child.once('exit', () => done());
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await Promise.race([ended, setTimeout(stopLimitMs, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await untilAnswering(socket, {
      signal,
      hasEnded: () => child.exitCode !== null || child.pid === undefined,
    });
  } catch (error) {
    const detail = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n');
    await stop();
    signal.throwIfAborted();
    throw new AppError('unavailable', 'Cannot start a Docker Engine', {
      detail,
      hint: 'It needs root and the package docker.io.',
      cause: error,
    });
  }
  return { socket, [Symbol.asyncDispose]: stop };
}

function engineArguments(home: string, socket: string): string[] {
  const paths = { 'data-root': 'data', 'exec-root': 'exec', pidfile: 'pid' };
  return [
    ...Object.entries(paths).map(([option, name]) => `--${option}=${join(home, name)}`),
    `--host=unix://${socket}`,
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--log-level=error',
  ];
}

interface WaitOptions {
  readonly signal: AbortSignal;
  readonly hasEnded: () => boolean;
}

/**
 * Waits until a server of the Engine API responds at the socket. Throws the reason when its process ends
 * before, or takes too long.
 */
export async function untilAnswering(socket: string, { signal, hasEnded }: WaitOptions): Promise<void> {
  const deadline = performance.now() + startLimitMs;
  using client = new ApiClient(socket);
  for (;;) {
    try {
      await client.call('GET', '/_ping');
      return;
    } catch (error) {
      if (hasEnded() || performance.now() > deadline) throw error;
      await setTimeout(100, undefined, { signal });
    }
  }
}
