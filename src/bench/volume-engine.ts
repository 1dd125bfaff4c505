import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { AppError } from '../model/errors.ts';

/** A Docker Engine of its own with nothing but volumes. */
export interface VolumeEngine extends AsyncDisposable {
  readonly socket: string;
}

const volumeCount = 2_000;
const startLimitMs = 60_000;
const stopLimitMs = 30_000;

interface StartOptions {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Starts the engine below `folder` and makes its volumes. `unavailable` when it does not start. */
export async function startVolumeEngine(
  folder: string,
  { signal, say }: StartOptions,
): Promise<VolumeEngine> {
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
    await waitForEngine(socket, {
      signal,
      hasEnded: () => child.exitCode !== null || child.pid === undefined,
    });
    say(`Making ${volumeCount} volumes in a Docker Engine`);
    for (let index = 0; index < volumeCount; index += 1) {
      signal.throwIfAborted();
      await call(socket, 'POST', '/volumes/create', {
        Name: `volume-${index}`,
        Labels: { number: `${index}` },
      });
    }
  } catch (error) {
    const detail = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n');
    await stop();
    signal.throwIfAborted();
    throw new AppError('unavailable', 'Cannot start a Docker Engine to list its volumes', {
      detail,
      hint: 'It needs root and the package docker.io. Leave --with-docker out to do without.',
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

async function waitForEngine(socket: string, { signal, hasEnded }: WaitOptions): Promise<void> {
  const deadline = performance.now() + startLimitMs;
  for (;;) {
    try {
      return await call(socket, 'GET', '/_ping');
    } catch (error) {
      if (hasEnded() || performance.now() > deadline) throw error;
      await setTimeout(100, undefined, { signal });
    }
  }
}

/** A request to the engine's API; resolves when it was answered with success. */
async function call(socket: string, method: string, path: string, body?: object): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { 'content-type': 'application/json' };
  const sent = request({ socketPath: socket, method, path, headers }, (response) => {
    response.resume();
    response.once('end', () => {
      if ((response.statusCode ?? 500) < 300) resolve();
      else reject(new AppError('failed', `The Docker Engine answered ${response.statusCode} to "${path}"`));
    });
  });
  sent.once('error', reject);
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  await promise;
}
