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

/** The engine behind us. */
export interface Upstream extends Disposable {
  readonly socketPath: string;
  /** Connections that are kept open between requests. */
  readonly connections: Agent;
  /** Headers by which it told who it is (`Server`, `Api-Version`), for what is answered in its place. */
  readonly says: Map<string, string>;
}

export interface UpstreamMessage {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders | readonly string[];
  /** Undefined for a request that has none. */
  readonly body?: Readable | undefined;
  /** The client's connection: when it says that it has no more to say, the engine hears so. */
  readonly client?: Socket | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sends one request to the engine behind us, and gives its answer as soon as its head is there. Throws what the
 * connection says when there is none.
 *
 * A request that only reads goes over a connection that is kept open. The engine may close one as we take it: a request
 * that was answered by nothing is then sent once more, over a connection of its own. What changes something is never sent
 * twice, so it has a connection of its own from the start.
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

/** The connection was a kept one, and the engine closed it before it answered anything. */
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
  // The engine need not read to the end: what is left is thrown away, so that the client comes to read the answer.
  sent.once('close', () => {
    body.unpipe(sent);
    body.resume();
  });
}

/** As if the client were connected to the engine: it ends a stream then, and answers what it can. */
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
