import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { longestHeadBytes } from '../serve/serve-http.ts';
import { errnoOf } from '../../model/errors.ts';

/** The upstream engine. */
export interface Upstream extends Disposable {
  readonly socketPath: string;
  /** Connections that are kept open between requests. */
  readonly connections: Agent;
  /**
   * Headers by which it identified itself (`Server`, `Api-Version`), for answers that are given in its place.
   */
  readonly says: Map<string, string>;
}

export interface UpstreamMessage {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders | readonly string[];
  /** Undefined for a request without one. */
  readonly body?: Readable | undefined;
  /** The client's connection: when the client closes its side, the engine's is closed too. */
  readonly client?: Socket | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sends one request to the upstream engine, and returns its answer as soon as its head is there. Throws the
 * connection's error when there is none.
 * A request that only reads uses a kept connection. The engine may close that at the same time: a request
 * without any answer is then sent once more, over a new connection. A request that changes something is never
 * sent twice, so it has a new connection from the start.
 */
export async function sendUpstream(upstream: Upstream, message: UpstreamMessage): Promise<IncomingMessage> {
  const isRepeatable = ['GET', 'HEAD'].includes(message.method) && message.body === undefined;
  if (!isRepeatable) return await send(upstream, message, false);
  try {
    return await send(upstream, message, upstream.connections);
  } catch (error) {
    if (!(error instanceof ClosedMeanwhile) || message.signal.aborted) throw error;
    return await send(upstream, message, false);
  }
}

/** The engine closed a kept connection before it answered. */
class ClosedMeanwhile extends Error {}

async function send(
  { socketPath }: Upstream,
  { method, path, headers, body, client, signal }: UpstreamMessage,
  agent: Agent | false,
): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = httpRequest({
    socketPath,
    agent,
    method,
    path,
    headers,
    signal,
    maxHeaderSize: longestHeadBytes,
  });
  sent.once('response', resolve);
  // After the head, the answer itself has the error as well.
  sent.on('error', (error) =>
    reject(isClosedMeanwhile(sent, error) ? new ClosedMeanwhile(error.message) : error),
  );
  sent.once('upgrade', (_answer, socket) => {
    socket.destroy();
    reject(new Error('it changes to another protocol, which was not asked for'));
  });
  sent.once('close', () => reject(new Error('it closed the connection without an answer')));
  if (client !== undefined) passEnd(client, sent);
  if (body === undefined) sent.end();
  else passBody(body, sent);
  return await promise;
}

function isClosedMeanwhile(sent: ClientRequest, error: Error): boolean {
  return sent.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '');
}

function passBody(body: Readable, sent: ClientRequest): void {
  body.pipe(sent);
  body.once('error', () => sent.destroy());
  // The engine may stop reading: the rest of the body is discarded, so that the client gets to read the
  // answer.
  sent.once('close', () => {
    body.unpipe(sent);
    body.resume();
  });
}

/** As if the client were connected to the engine: that then ends a stream, and answers what it can. */
function passEnd(client: Socket, sent: ClientRequest): void {
  const end = (): void => {
    if (sent.destroyed) return;
    if (sent.writableFinished) sent.socket?.end();
    else sent.once('finish', end);
  };
  if (client.readableEnded) end();
  client.once('end', end);
  sent.once('close', () => {
    client.off('end', end);
    sent.off('finish', end);
  });
}
