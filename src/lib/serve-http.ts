import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../model/errors.ts';
import { listenOnSocket, type ServedSocket } from './listen-socket.ts';

export type { ServedSocket };

export interface ServeOptions {
  readonly socket: ServedSocket;
  readonly onRequest: RequestListener;
  /** Requests that ask for the connection itself. One that is not wanted is served like every other. */
  readonly upgrades?: Upgrades | undefined;
  /** When it is aborted, no more requests are taken, and those under way may go on for a while. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  readonly onListening?: (() => void) | undefined;
}

export interface Upgrades {
  readonly wants: (request: IncomingMessage) => boolean;
  readonly take: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Far above what an engine and its clients hold open; each costs a descriptor and some memory. */
const connectionsAtMost = 1000;

/** Serves HTTP on a unix socket until the signal is aborted and what was under way has ended. */
export async function serveHttp(options: ServeOptions): Promise<void> {
  const { socket, onRequest, upgrades, signal, graceMs } = options;
  signal.throwIfAborted();
  // A body or an answer may take its time: streams of an engine are open for days. Heads may not.
  const server = createServer(
    {
      requestTimeout: 0,
      headersTimeout: 30_000,
      keepAliveTimeout: 65_000,
      shouldUpgradeCallback: (request) => upgrades?.wants(request) === true,
    },
    onRequest,
  );
  server.maxConnections = connectionsAtMost;
  if (upgrades !== undefined) server.on('upgrade', upgrades.take);
  await using _socket = await listenOnSocket(server, socket);
  options.onListening?.();
  try {
    await aborted(signal);
  } finally {
    await close(server, graceMs);
  }
}

/** The whole body of a request. One that is longer than the limit is `usage`. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limitBytes) throw new AppError('usage', 'http: request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}

async function close(server: Server, graceMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const patience = new AbortController();
  const tooLate = sleep(graceMs, undefined, { signal: patience.signal }).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await Promise.race([closed, tooLate]);
  patience.abort();
}
