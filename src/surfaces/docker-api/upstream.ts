import { AppError, errorMessage } from '../../model/errors.ts';
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { type Duplex, PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { longestHeadBytes } from '../serve/serve-http.ts';
import type { RequestHandler } from '../serve/request-guard.ts';
import { sendJson } from './send.ts';
import { sendUpstream, type Upstream } from './send-upstream.ts';
import { upstreamRequest } from './upstream-request.ts';

/** The limit of idle connections, and their time: the engine closes its own after minutes. */
const idleAtMost = 64;
const idleMs = 30_000;

/** `unix:///var/run/docker.sock`. Disposal closes the idle connections. */
export function openUpstream(address: string): Upstream {
  const socketPath = address.startsWith('unix://') ? address.slice('unix://'.length) : address;
  if (!socketPath.startsWith('/')) {
    throw new AppError(
      'usage',
      `Cannot pass requests to "${address}": it is not the address of a unix socket`,
      { hint: 'Write it as unix:///var/run/docker.sock.' },
    );
  }
  // Those in use are as many as there are clients, which the listener bounds.
  const connections = new Agent({ keepAlive: true, maxFreeSockets: idleAtMost, timeout: idleMs });
  return { socketPath, connections, says: new Map(), [Symbol.dispose]: () => connections.destroy() };
}

/** Passes a request and its answer through as they come, endless streams included. */
export function passThrough(upstream: Upstream): RequestHandler {
  return async (request, response) => {
    const { method = '', url: path = '/', headers, socket } = request;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
    let answer: IncomingMessage;
    try {
      answer = await sendUpstream(upstream, {
        method,
        path,
        headers: headersForEngine(request, hasBody),
        body: hasBody ? request : undefined,
        client: socket,
        signal: gone.signal,
      });
    } catch (error) {
      if (!gone.signal.aborted) sendJson(response, 503, { message: unreachable(upstream, error) });
      return;
    }
    try {
      writeHead(response, answer, request.httpVersionMinor === 0);
    } catch (error) {
      answer.destroy();
      response.statusMessage = '';
      return sendJson(response, 502, {
        message: `The engine's answer cannot be passed on: ${wordsOf(error)}`,
      });
    }
    // The engine sends the head of a stream before there is any content. An answer with a length comes in one
    // piece.
    if (answer.headers['content-length'] === undefined) response.flushHeaders();
    // Either end may disconnect at any time: then the other is closed too, and no client is left to get an
    // error.
    await pipeline(answer, response).catch(() => response.destroy());
  };
}

/** Throws for an answer that is invalid HTTP. */
function writeHead(response: ServerResponse, answer: IncomingMessage, isOldClient: boolean): void {
  const passed = endToEnd(answer.rawHeaders, hopHeaders);
  // Clients of HTTP/1.0 know no chunks: the end of the connection is the end of the answer.
  const headers = isOldClient ? endToEnd(passed, ['transfer-encoding']) : passed;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
}

/** Headers about one connection are not for the next one: Node.js sets its own, and requests no upgrade. */
const hopHeaders = ['connection', 'keep-alive', 'upgrade', 'proxy-connection', 'te', 'trailer'];

/**
 * The engine must not close the connection: writes at the end of a request would then fail after the answer.
 */
function headersForEngine({ method = '', rawHeaders, headers }: IncomingMessage, hasBody: boolean): string[] {
  // The client already has its "100 Continue".
  const passed = endToEnd(rawHeaders, [...hopHeaders, 'expect']);
  // Node.js would announce chunks, and an engine starts no container for a request that may have a body.
  const isSilent = !hasBody && headers['content-length'] === undefined;
  if (isSilent && !['GET', 'HEAD'].includes(method)) passed.push('Content-Length', '0');
  // HTTP/1.0 needs no host, and the engine is asked by HTTP/1.1.
  if (headers.host === undefined) passed.push('Host', 'docker');
  return [...passed, 'Connection', 'keep-alive'];
}

function endToEnd(raw: readonly string[], left: readonly string[]): string[] {
  const headers: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = [raw[index], raw[index + 1]];
    if (!left.includes(name.toLowerCase())) headers.push(name, value);
  }
  return headers;
}

const longestBody = 1 << 20;

/**
 * True for a request after which the connection becomes a raw byte stream (exec, attach, BuildKit's session).
 */
export function takesConnection({ method = '', url = '/' }: IncomingMessage): boolean {
  return upstreamRequest(method, url).kind === 'take-connection';
}

/**
 * Passes a request after which the connection becomes a raw byte stream. The engine gets that one request,
 * and later bytes only once it has handed the connection over: until then it would read them as further
 * requests, which must pass through here first. Then bytes go both ways as they come, and each direction may
 * end before the other.
 */
export function passUpgrade(upstream: Upstream) {
  return (request: IncomingMessage, client: Duplex, head: Buffer): void => {
    const engine = connect({ path: upstream.socketPath, allowHalfOpen: true });
    const fromClient = new PassThrough();
    const drop = (): void => {
      for (const stream of [engine, client, fromClient]) stream.destroy();
    };
    const refuse = (status: string, message: string): void => {
      if (client.writableEnded || client.destroyed) return drop();
      client.end(refusal(status, message), drop);
    };
    for (const stream of [client, fromClient]) stream.on('error', drop);
    engine.on('error', (error) => {
      if (engine.bytesRead === 0) refuse('503 Service Unavailable', unreachable(upstream, error));
      else drop();
    });
    engine.once('close', () => {
      if (engine.bytesRead > 0) client.end();
      else refuse('503 Service Unavailable', unreachable(upstream, noAnswer));
    });
    client.once('close', drop);
    const length = bodyLength(request);
    if (length === undefined) {
      return refuse('411 Length Required', 'the length of the body must be said, and be a mebibyte at most');
    }
    fromClient.write(head);
    client.pipe(fromClient);
    onAnswer(engine, (first, isUpgraded) => {
      if (first.length === 0) return refuse('503 Service Unavailable', unreachable(upstream, noAnswer));
      if (isUpgraded) fromClient.pipe(engine);
      client.write(first);
      if (engine.readableEnded) client.end();
      else engine.pipe(client);
      // Its answer is the last thing on the connection: nothing may follow it.
      if (!isUpgraded) engine.end();
    });
    takeBytes(fromClient, length, (body) => {
      if (body === undefined) refuse('400 Bad Request', 'the body ended before its length');
      else engine.write(Buffer.concat([requestHead(request, length), body]));
    });
  };
}

/** Undefined for a body without a length in the head, and for a larger one than these requests have. */
function bodyLength({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  const length = Number(headers['content-length'] ?? 0);
  return Number.isSafeInteger(length) && length <= longestBody ? length : undefined;
}

/**
 * Calls `take` with exactly this many bytes, once they are there; with undefined when the stream ends before.
 * Later bytes stay in the stream.
 */
function takeBytes(stream: Readable, length: number, take: (bytes: Buffer | undefined) => void): void {
  if (length === 0) return take(Buffer.alloc(0));
  const onEnd = (): void => take(undefined);
  const look = (): void => {
    const bytes = stream.read(length) as Buffer | null;
    if (bytes === null) return;
    stream.off('readable', look);
    stream.off('end', onEnd);
    // A stream that has ended returns what it has.
    take(bytes.length === length ? bytes : undefined);
  };
  stream.on('readable', look);
  stream.once('end', onEnd);
}

function requestHead({ method, url, rawHeaders }: IncomingMessage, bodyBytes: number): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`, `Content-Length: ${bodyBytes}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2);
    if (name.toLowerCase() !== 'content-length') lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

const noAnswer = 'it closed the connection without an answer';

/** Waits for the head of the answer, or for its end, and reports whether the connection is handed over. */
function onAnswer(engine: Duplex, tell: (first: Buffer, isUpgraded: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const onEnd = (): void => {
    engine.off('data', onData);
    tell(seen, false);
  };
  const onData = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    if (!seen.includes('\r\n\r\n') && seen.length < longestHeadBytes) return;
    engine.off('data', onData);
    engine.off('end', onEnd);
    engine.pause();
    tell(seen, seen.toString('latin1', 0, 16).startsWith('HTTP/1.1 101 '));
  };
  engine.on('data', onData);
  engine.once('end', onEnd);
}

function refusal(status: string, message: string): string {
  const body = `${JSON.stringify({ message })}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

export function unreachable({ socketPath }: Pick<Upstream, 'socketPath'>, error: unknown): string {
  return `Cannot reach the engine at "unix://${socketPath}": ${wordsOf(error)}`;
}

function wordsOf(error: unknown): string {
  return errorMessage(error);
}
