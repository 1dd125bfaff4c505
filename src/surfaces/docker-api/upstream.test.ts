import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sendRaw } from '../../../test/support/raw-client.ts';
import { serveHttp } from '../serve/serve-http.ts';
import { openUpstream, passUpgrade, takesConnection } from './upstream.ts';
import { upstreamListener } from './upstream-listener.ts';

let folder: string;
let front: string;
let opened: AsyncDisposableStack;
let uncaught: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'front-'));
  front = join(folder, 'front');
  uncaught = [];
  opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const upstream = opened.use(openUpstream(`unix://${join(folder, 'engine')}`));
  const end = new AbortController();
  const listening = Promise.withResolvers<void>();
  const serving = serveHttp({
    socket: { path: front, mode: 0o600 },
    signal: end.signal,
    graceMs: 100,
    onRequest: upstreamListener({
      parts: Promise.withResolvers<never>().promise,
      upstream,
      onFailure: () => undefined,
    }),
    upgrades: { wants: takesConnection, take: passUpgrade(upstream) },
    onUncaught: (what, error) => uncaught.push(`${what}: ${String(error)}`),
    onListening: () => listening.resolve(),
  });
  opened.defer(async () => {
    end.abort();
    await serving;
  });
  await listening.promise;
});
afterEach(async () => {
  await opened.disposeAsync();
  expect(uncaught).toEqual([]);
});

async function listen(server: Server | ReturnType<typeof createNetServer>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(join(folder, 'engine'), resolve);
  await promise;
}

/** An engine that counts its connections. */
async function engine(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly connections: Socket[] }> {
  const connections: Socket[] = [];
  const server = createServer(answer);
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket: Socket) => connections.push(socket));
  await listen(server);
  opened.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return { connections };
}

/** An engine that answers every connection with these bytes. */
async function rawEngine(answer: (socket: Socket, request: string) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.setEncoding('latin1');
    socket.on('data', (text) => answer(socket, String(text)));
  });
  await listen(server);
  opened.defer(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
}

const closing = 'Connection: close\r\n';
const get = (path: string, more = closing): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${closing}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('connections to the engine', () => {
  test('are kept open for reads, and opened anew for writes', async () => {
    const { connections } = await engine((request, response) => {
      request.resume().on('end', () => response.end(request.url));
    });
    for (let turn = 0; turn < 5; turn += 1) expect(await sendRaw(front, get('/_ping'))).toContain('/_ping');
    expect(connections).toHaveLength(1);
    for (let turn = 0; turn < 3; turn += 1)
      expect(await sendRaw(front, post('/containers/create', '{}'))).toContain('/containers/create');
    expect(connections).toHaveLength(4);
    expect(connections[0]?.destroyed).toBe(false);
  });

  test('are as many as there are clients, and a few are kept', async () => {
    const waiting: ServerResponse[] = [];
    const { connections } = await engine((_request, response) => {
      waiting.push(response);
      if (waiting.length < 100) return;
      for (const one of waiting) one.end('all are here');
    });
    const answers = await Promise.all(Array.from({ length: 100 }, () => sendRaw(front, get('/events'))));
    expect(answers.filter((answer) => answer.endsWith('all are here'))).toHaveLength(100);
    await expect.poll(() => connections.filter((socket) => !socket.destroyed).length).toBeLessThan(65);
  });

  test('that the engine closes as they are reused lose no read', async () => {
    let answered = 0;
    const seen = new Set<Socket>();
    await rawEngine((socket) => {
      answered += 1;
      // The second request on a connection finds it closed.
      const isSecond = seen.has(socket);
      seen.add(socket);
      if (isSecond) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood');
    });
    for (let turn = 0; turn < 4; turn += 1) expect(await sendRaw(front, get('/info'))).toContain('good');
    expect(answered).toBeGreaterThan(4);
  });

  test('that break at once are an error, and a write is sent once', async () => {
    let asked = 0;
    await rawEngine((socket) => {
      asked += 1;
      socket.destroy();
    });
    expect(await sendRaw(front, post('/containers/create', '{}'))).toMatch(/^HTTP\/1\.1 503 .*Cannot reach/s);
    expect(asked).toBe(1);
    expect(await sendRaw(front, get('/info'))).toMatch(/^HTTP\/1\.1 503 .*Cannot reach the engine/s);
    expect(asked).toBe(2);
  });

  test('end with the client, in the middle of an answer', async () => {
    const { connections } = await engine((_request, response) => void response.write('begun'));
    expect(await sendRaw(front, get('/events'), { until: 'begun' })).toContain('begun');
    await expect.poll(() => connections.map(({ destroyed }) => destroyed)).toEqual([true]);
  });
});

describe('an engine that answers strangely ends nothing', () => {
  test.each([
    [
      'another protocol, unasked',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['a status that there is none of', 'HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['words that are no text', 'HTTP/1.1 200 \u0001\u00ff\r\nContent-Length: 0\r\n\r\n'],
    ['a trailer of nothing', 'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(2_000_000)}`],
    ['nothing', ''],
  ])('%s', async (_what, bytes) => {
    await rawEngine((socket) => socket.end(bytes, 'latin1'));
    expect(await sendRaw(front, get('/info'))).toMatch(/^HTTP\/1\.1 (?:200|50\d) /);
    expect(await sendRaw(front, post('/info', '{}'))).toMatch(/^HTTP\/1\.1 (?:200|50\d) /);
    const exec = `POST /exec/1/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`;
    const handed = await sendRaw(front, exec);
    expect(handed).toMatch(bytes === '' ? /^HTTP\/1\.1 503 .*Cannot reach/s : /^/);
  });

  test('a long head of an answer is passed on', async () => {
    await engine((_request, response) => {
      response.writeHead(200, { 'X-Docker-Container-Path-Stat': 'x'.repeat(900_000) });
      response.end('whole');
    });
    const answer = await sendRaw(front, get('/containers/x/archive'));
    expect(answer.length).toBeGreaterThan(900_000);
    expect(answer).toMatch(/whole/);
  });
});

describe('clients of other kinds', () => {
  test('of HTTP/1.0 get an answer without chunks', async () => {
    await engine((request, response) => {
      response.write(`host ${request.headers.host}, `);
      response.end('in chunks');
    });
    const answer = await sendRaw(front, 'GET /info HTTP/1.0\r\n\r\n');
    expect(answer).toMatch(/\r\n\r\nhost docker, in chunks$/);
    expect(answer).not.toMatch(/transfer-encoding/i);
  });

  test.each(['POST', 'PUT', 'DELETE'])('that say nothing of a body with %s send none', async (method) => {
    await engine(({ headers }, response) => {
      response.end(JSON.stringify([headers['transfer-encoding'] ?? 'none', headers['content-length']]));
    });
    const start = `${method} /containers/x/start HTTP/1.1\r\nHost: x\r\n${closing}\r\n`;
    expect(await sendRaw(front, start)).toContain('["none","0"]');
  });

  test('that send headers for their own connection are understood', async () => {
    await engine((request, response) => {
      response.end(JSON.stringify([request.headers['trailer'], request.headers['expect'] ?? 'none']));
    });
    const odd = 'Trailer: X-Sum\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nConnection: close\r\n';
    expect(await sendRaw(front, get('/info', odd))).toContain('[null,"none"]');
  });

  test('that have closed their side get their answer, and the engine sees the close', async () => {
    let heard = false;
    await engine((request, response) => {
      request.socket.on('end', () => (heard = true));
      setTimeout(() => response.end('late'), 200);
    });
    // An engine in Go goes on when its client has closed one side; one in Node.js needs an option for that.
    expect(await sendRaw(front, get('/info', ''), { half: true })).toMatch(/late|Cannot reach/);
    expect(heard).toBe(true);
  });

  test('that close their side in the middle of a body get an error', async () => {
    await engine((_request, response) => response.end());
    const cut =
      'POST /exec/1/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 9\r\n\r\n{}';
    expect(await sendRaw(front, cut, { half: true })).toMatch(/^HTTP\/1\.1 400 /);
    const plain = 'POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}';
    expect(await sendRaw(front, plain, { half: true })).toMatch(/^HTTP\/1\.1 400 /);
  });
});
