import { awaitedLater } from '../lib/awaited-later.ts';
import { connect, isIP, type Socket } from 'node:net';
import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { DriverCall } from './driver.ts';

export interface Server {
  readonly host: string;
  readonly port: number;
  /** For messages: `NFS`. */
  readonly service: string;
}

const lookupMs = 5000;
const connectMs = 5000;

/**
 * Whether a server is reachable: resolves its name, then tries its port. A mount would otherwise hang for
 * minutes.
 */
export async function probeServer(server: Server, { signal }: DriverCall = {}): Promise<void> {
  using socket = await connectTo(server, { signal });
  socket.end();
}

/**
 * Retries until the server is reachable or time is up: after a boot, a server may be slower than this
 * machine.
 */
export async function waitForServer(
  probe: () => Promise<void>,
  { waitMs, signal }: DriverCall & { readonly waitMs: number },
): Promise<void> {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (!isAppError(error, 'unavailable') || performance.now() + 1000 > until) throw error;
    }
    await sleep(1000, undefined, signal === undefined ? {} : { signal });
  }
}

/** How long to wait for a server: as `wait` says, otherwise long in the first minutes after boot. */
export function patienceMs(wait: string | undefined): number {
  if (wait !== undefined) return Number(wait) * 1000;
  return uptime() < 300 ? 60_000 : 0;
}

/** A connection; the caller closes it. */
export async function connectTo(server: Server, { signal }: DriverCall = {}): Promise<Socket & Disposable> {
  const { host, port, service } = server;
  const address = await resolve(host);
  const { promise, resolve: connected, reject } = Promise.withResolvers<Socket>();
  const socket = connect({
    host: address,
    port,
    timeout: connectMs,
    ...(signal === undefined ? {} : { signal }),
  });
  socket.once('connect', () => connected(socket));
  socket.once('timeout', () => reject(silent(server)));
  socket.once('error', (error) =>
    reject(signal?.aborted === true ? cancelled(host, signal) : refused(server, error)),
  );
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    if (isAppError(error)) throw error;
    throw new AppError('unavailable', `The ${service} server ${quote(host)} cannot be reached`, {
      cause: error,
    });
  }
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() });
}

async function resolve(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  const late = new AbortController();
  const timeout = sleep(lookupMs, undefined, { signal: late.signal }).then(() => {
    throw new AppError(
      'unavailable',
      `The name ${quote(host)} could not be looked up within ${lookupMs / 1000} seconds`,
      {
        hint: 'Check the name server of this machine, or give the address as a number.',
      },
    );
  });
  try {
    // Takes 5 ms to load, and few volumes are on a server.
    const { lookup } = await import('node:dns/promises');
    return (await Promise.race([lookup(host), timeout])).address;
  } catch (error) {
    if (isAppError(error)) throw error;
    throw new AppError('unavailable', `There is no server named ${quote(host)}`, {
      detail: error instanceof Error ? error.message : undefined,
      hint: 'Check the name, or give the address as a number.',
      cause: error,
    });
  } finally {
    late.abort();
    awaitedLater(timeout);
  }
}

function silent({ host, port, service }: Server): AppError {
  return new AppError('unavailable', `The ${service} server ${quote(host)} does not answer on port ${port}`, {
    hint: 'Check that it is up, and that no firewall is between.',
  });
}

function refused(server: Server, error: unknown): AppError {
  const { host, port, service } = server;
  if (errnoOf(error) !== 'ECONNREFUSED') return silent(server);
  return new AppError(
    'unavailable',
    `Nothing listens on port ${port} of ${quote(host)}, where ${service} should be`,
    {
      hint: `Check that the ${service} service runs there, and the port.`,
      cause: error,
    },
  );
}

function cancelled(host: string, signal: AbortSignal): AppError {
  return new AppError('cancelled', `Connecting to ${quote(host)} was cancelled`, { cause: signal.reason });
}
