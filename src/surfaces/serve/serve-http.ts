import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../model/errors.ts';
import type { ListenAddress } from '../../lib/listen-address.ts';
import { listenOnAddress } from './listen-address.ts';
import { listenOnSocket, type ServedSocket } from './listen-socket.ts';
import {
  RequestGuard,
  type RequestHandler,
  type TellUncaught,
  type UpgradeHandler,
} from './request-guard.ts';

export type { ServedSocket };

export interface ServeOptions {
  readonly socket: ServedSocket | ListenAddress;
  readonly onRequest: RequestHandler;
  /** Requests for the raw connection. One that is not handled here is served like every other. */
  readonly upgrades?: Upgrades | undefined;
  /** When aborted, no more requests are accepted, and those under way get some time to end. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  readonly onListening?: (() => void) | undefined;
  /** Called for every uncaught error, of a request or of the process; the service goes on. */
  readonly onUncaught: TellUncaught;
  /** Called when a connection could not be accepted; undefined takes `onUncaught`. */
  readonly onUnaccepted?: ((error: Error) => void) | undefined;
  /** Lower limits, for a service that needs neither long heads nor many clients. */
  readonly limits?: ServeLimits | undefined;
}

export interface ServeLimits {
  readonly connections: number;
  readonly headBytes: number;
  /** For a whole request, its body included. */
  readonly requestMs: number;
}

export interface Upgrades {
  readonly wants: (request: IncomingMessage) => boolean;
  readonly take: UpgradeHandler;
}

/** Far above what an engine and its clients hold open; each costs a descriptor and some memory. */
const connectionsAtMost = 1000;

/**
 * The engine's limit for the head of a request or an answer: the URL and all headers, and a page for the
 * rest.
 */
export const longestHeadBytes = (1 << 20) + 4096;

/** Serves HTTP on a unix socket or an address until the signal is aborted and requests under way have ended. */
export async function serveHttp(options: ServeOptions): Promise<void> {
  const { socket, onRequest, upgrades, signal, graceMs, onUncaught, limits } = options;
  signal.throwIfAborted();
  using guard = new RequestGuard(onUncaught);
  // A body or an answer may take long: streams of an engine are open for days. Heads may not.
  const server = createServer(
    {
      requestTimeout: limits?.requestMs ?? 0,
      headersTimeout: 30_000,
      keepAliveTimeout: 65_000,
      maxHeaderSize: limits?.headBytes ?? longestHeadBytes,
      shouldUpgradeCallback: (request) => upgrades?.wants(request) === true,
    },
    guard.request(onRequest),
  );
  server.maxConnections = limits?.connections ?? connectionsAtMost;
  answerHalfClosed(server);
  if (upgrades !== undefined) server.on('upgrade', guard.upgrade(upgrades.take));
  server.on('connect', guard.upgrade(refuseTunnel));
  await using _socket =
    'port' in socket ? await listenOnAddress(server, socket) : await listenOnSocket(server, socket);
  // One connection could not be accepted (no descriptor is free): the next one may be.
  server.on('error', options.onUnaccepted ?? ((error) => onUncaught(undefined, error)));
  options.onListening?.();
  try {
    await aborted(signal);
  } finally {
    await close(server, graceMs);
  }
}

/**
 * A client that has sent its request may close its side, and still reads the answer. Node.js documents no
 * option for that.
 */
function answerHalfClosed(server: Server & { httpAllowHalfOpen?: boolean }): void {
  server.httpAllowHalfOpen = true;
}

function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  const body = '{"message":"page not found"}\n';
  const head = ['HTTP/1.1 404 Not Found', 'Content-Type: application/json', `Content-Length: ${body.length}`];
  // What the client sends into the tunnel is not read, so its end would never be seen.
  socket.end(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** How much of a body that is too long is read and discarded, so that its sender gets to read the answer. */
const discardAtMost = 64 << 20;

/**
 * The whole body of a request. A longer one than the limit is `usage`, once it has been read to its end: a
 * client that still writes would see a broken connection instead of the answer.
 */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const leave = (): void => reject(new AppError('cancelled', 'The client went away'));
  const tooLong = (): AppError => new AppError('usage', 'http: request body too large');
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limitBytes) chunks.push(chunk);
    else chunks.length = 0;
    // The connection is then closed soon after the answer.
    if (length > limitBytes + discardAtMost) reject(tooLong());
  });
  request.once('end', () => (length <= limitBytes ? resolve(Buffer.concat(chunks)) : reject(tooLong())));
  request.once('error', leave);
  request.once('close', leave);
  // "close" is emitted once only, and may be past already.
  if (request.destroyed) leave();
  return await promise;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}

const lookForIdleMs = 50;

async function close(server: Server, graceMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  // One whose request was under way is kept alive after its answer, for the client's next request.
  const closing = setInterval(() => server.closeIdleConnections(), lookForIdleMs);
  const patience = new AbortController();
  const tooLate = sleep(graceMs, undefined, { signal: patience.signal }).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await Promise.race([closed, tooLate]);
  clearInterval(closing);
  patience.abort();
}
