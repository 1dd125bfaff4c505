import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../model/errors.ts';
import { listenOnSocket, type ServedSocket } from './listen-socket.ts';

export type { ServedSocket };

export interface ServeOptions {
  readonly socket: ServedSocket;
  readonly onRequest: RequestListener;
  /** For requests that ask for the connection itself. */
  readonly onUpgrade?: ((...upgrade: UpgradeArguments) => void) | undefined;
  /** When it is aborted, no more requests are taken, and those under way may go on for a while. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  readonly onListening?: (() => void) | undefined;
}

type UpgradeArguments = [request: IncomingMessage, socket: Duplex, head: Buffer];

/** Serves HTTP on a unix socket until the signal is aborted and what was under way has ended. */
export async function serveHttp(options: ServeOptions): Promise<void> {
  const { socket, onRequest, onUpgrade, signal, graceMs } = options;
  signal.throwIfAborted();
  // A body or an answer may take its time: streams of an engine are open for days. Heads may not.
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 65_000 },
    onRequest,
  );
  if (onUpgrade !== undefined) server.on('upgrade', onUpgrade);
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
