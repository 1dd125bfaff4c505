import {
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { connect } from 'node:net';
import { type Duplex, PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../model/errors.ts';
import { sendJson } from './send.ts';
import { upstreamRequest } from './upstream-request.ts';

/** The engine behind us. */
export interface Upstream {
  readonly socketPath: string;
}

/** `unix:///var/run/docker.sock` */
export function parseUpstream(address: string): Upstream {
  const socketPath = address.startsWith('unix://') ? address.slice('unix://'.length) : address;
  if (socketPath.startsWith('/')) return { socketPath };
  throw new AppError(
    'usage',
    `Cannot pass requests to "${address}": it is not the address of a unix socket`,
    {
      hint: 'Write it as unix:///var/run/docker.sock.',
    },
  );
}

/** Passes a request and its answer through as they come, byte streams without an end included. */
export function passThrough(upstream: Upstream): RequestListener {
  return (request, response) => {
    const { socketPath } = upstream;
    const { method, url: path, rawHeaders } = request;
    // Each on a connection of its own: one that is kept may be closed by the engine as we take it. The engine must not
    // be the one to close it, or what we still write at the end of a request fails after the answer.
    const headers = [...headersOf(rawHeaders), 'Connection', 'keep-alive'];
    const passed = httpRequest({ socketPath, agent: false, method, path, headers });
    passed.on('response', (answer) => passAnswer(answer, response));
    passed.on('error', (error) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 503, { message: unreachable(upstream, error) });
    });
    response.once('close', () => passed.destroy());
    request.once('error', () => passed.destroy());
    request.pipe(passed);
  };
}

function passAnswer(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headersOf(answer.rawHeaders));
  // The engine says that a stream has begun before there is anything in it.
  response.flushHeaders();
  // Either end may go at any moment: then the other goes too, and there is nobody to tell.
  pipeline(answer, response).catch(() => response.destroy());
}

/** What is said about this one connection is not for the next one: Node.js says its own, and no upgrade is asked for. */
function headersOf(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = raw.slice(index, index + 2);
    if (!['connection', 'keep-alive', 'upgrade'].includes(name.toLowerCase())) headers.push(name, value);
  }
  return headers;
}

const longestHead = 64 << 10;
const longestBody = 1 << 20;

/** The request is one after which the connection becomes the client's own (exec, attach, BuildKit's session). */
export function takesConnection({ method = '', url = '/' }: IncomingMessage): boolean {
  return upstreamRequest(method, url).kind === 'take-connection';
}

/**
 * Passes a request after which the connection is the client's own. The engine hears that one request, and what follows
 * on the connection only once it has handed the connection over: until then it would read it as further requests, which
 * are to be seen here first. Then bytes go both ways as they come, and each direction may end before the other.
 */
export function passUpgrade(upstream: Upstream) {
  return (request: IncomingMessage, client: Duplex, head: Buffer): void => {
    const engine = connect({ path: upstream.socketPath, allowHalfOpen: true });
    const fromClient = new PassThrough();
    const drop = (): void => {
      for (const stream of [engine, client, fromClient]) stream.destroy();
    };
    client.on('error', drop);
    engine.once('error', (error) => {
      if (!client.writableEnded && engine.bytesRead === 0)
        client.end(refusal('503 Service Unavailable', unreachable(upstream, error)));
      drop();
    });
    engine.once('close', () => client.end());
    client.once('close', () => engine.destroy());
    const length = bodyLength(request);
    if (length === undefined) {
      client.end(
        refusal('411 Length Required', 'the length of the body must be said, and be a mebibyte at most'),
      );
      return drop();
    }
    fromClient.write(head);
    client.pipe(fromClient);
    onAnswer(engine, (first, isUpgraded) => {
      if (isUpgraded) fromClient.pipe(engine);
      client.write(first);
      engine.pipe(client);
      // Its answer is the last thing on the connection: nothing may follow it.
      if (!isUpgraded) engine.end();
    });
    takeBytes(fromClient, length, (body) =>
      engine.write(Buffer.concat([requestHead(request, length), body])),
    );
  };
}

/** Undefined for a body whose end is not known from the head, and for one that none of these requests has. */
function bodyLength({ headers }: IncomingMessage): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  const length = Number(headers['content-length'] ?? 0);
  return Number.isSafeInteger(length) && length <= longestBody ? length : undefined;
}

/** Exactly so many, once they are there. Those that follow stay in the stream. */
function takeBytes(stream: Readable, length: number, take: (bytes: Buffer) => void): void {
  const bytes = length === 0 ? Buffer.alloc(0) : (stream.read(length) as Buffer | null);
  if (bytes !== null && bytes.length === length) return take(bytes);
  if (!stream.readableEnded) stream.once('readable', () => takeBytes(stream, length, take));
}

function requestHead({ method, url, rawHeaders }: IncomingMessage, bodyBytes: number): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`, `Content-Length: ${bodyBytes}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2);
    if (name.toLowerCase() !== 'content-length') lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Waits for the head of the answer, and tells whether the connection is handed over. */
function onAnswer(engine: Duplex, tell: (first: Buffer, isUpgraded: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    if (!seen.includes('\r\n\r\n') && seen.length < longestHead) return;
    engine.off('data', onData);
    engine.pause();
    tell(seen, seen.toString('latin1', 0, 16).startsWith('HTTP/1.1 101 '));
  };
  engine.on('data', onData);
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

function unreachable({ socketPath }: Upstream, error: Error): string {
  return `Cannot reach the engine at "unix://${socketPath}": ${error.message}`;
}
