import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { HttpConnections } from './http-connections.ts';

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A server that records each request with its connection and its position on it, from 1. */
async function serve(onRequest: (socket: Socket, number: number) => void): Promise<{
  readonly connections: HttpConnections;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const server = createServer((socket) => {
    let number = 0;
    socket.on('data', () => onRequest(socket, ++number));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const connections = new HttpConnections({
    origin: `http://127.0.0.1:${port}`,
    location: 'rest:x',
    tls: { ca: undefined, clientCertificate: undefined },
    proxy: undefined,
    stallMs: 10_000,
  });
  return {
    connections,
    async [Symbol.asyncDispose]() {
      await connections[Symbol.asyncDispose]();
      server.close();
      await once(server, 'close');
    },
  };
}

const question = { method: 'GET', path: '/', headers: {} } as const;

test('a request is sent again at once when the server has ended the connection that was kept', async () => {
  await using served = await serve((socket, number) => {
    if (number > 1) socket.resetAndDestroy();
    else socket.write(answer);
  });
  for (let i = 0; i < 3; i++) {
    const { body } = await served.connections.request(question);
    expect(body.toString()).toBe('ok');
  }
});

test('a request is sent once on a connection of its own that breaks', async () => {
  let asked = 0;
  await using served = await serve((socket) => {
    asked++;
    socket.resetAndDestroy();
  });
  await expect(served.connections.request(question)).rejects.toMatchObject({ code: 'unavailable' });
  expect(asked).toBe(1);
});

test('an answer that breaks on a kept connection is not asked for again', async () => {
  let asked = 0;
  await using served = await serve((socket, number) => {
    asked++;
    if (number === 1) return void socket.write(answer);
    socket.write(answer.slice(0, -1), () => setTimeout(() => socket.resetAndDestroy(), 50));
  });
  await served.connections.request(question);
  await expect(served.connections.request(question)).rejects.toMatchObject({ code: 'unavailable' });
  expect(asked).toBe(2);
});
