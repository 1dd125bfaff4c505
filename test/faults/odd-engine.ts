import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from './seeded.ts';

export interface OddEngine extends AsyncDisposable {
  readonly socketPath: string;
  /** Connections that are open now. */
  openConnections(): number;
}

/** An engine that mostly responds correctly, and sometimes as none should. */
export async function startOddEngine(socketPath: string, dice: Dice): Promise<OddEngine> {
  const sockets = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 2 << 20 }, (request, response) => {
    answer(request, response, dice).catch(() => response.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (_request: IncomingMessage, socket: Socket, head: Buffer) =>
    takeOver(socket, head, dice),
  );
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socketPath, resolve);
  await promise;
  return {
    socketPath,
    openConnections: () => sockets.size,
    [Symbol.asyncDispose]: () => close(server, sockets),
  };
}

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  for (const socket of sockets) socket.destroy();
  await promise;
}

async function answer(request: IncomingMessage, response: ServerResponse, dice: Dice): Promise<void> {
  request.on('error', () => undefined);
  if (request.url === '/good') return void response.end('good');
  if (dice.fraction() < 0.85) {
    // Like an engine, which first reads the body.
    for await (const _chunk of request) continue;
    response.setHeader('Api-Version', '1.45');
    response.setHeader('Server', 'Odd');
    response.writeHead(dice.pick([200, 200, 204, 304, 404, 409]), { 'Content-Type': 'application/json' });
    response.end(
      JSON.stringify(
        dice.pick([
          { message: 'x' },
          [],
          null,
          { Name: 'aa', Driver: 'local', Mountpoint: '/x/aa/_data' },
          { ID: 'id' },
        ]),
      ),
    );
    return;
  }
  const { socket } = request;
  switch (dice.between(0, 9)) {
    case 0:
      return void socket.destroy();
    case 1:
      return void socket.end(dice.bytes(dice.between(0, 2000)));
    case 2:
      return void socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore',
      );
    case 3:
      return void socket.end('HTTP/1.1 042 \u0001\r\nContent-Length: 5\r\n\r\nx');
    case 4:
      response.write('begun');
      await sleep(5);
      return void response.destroy();
    case 5:
      response.writeHead(200, { 'X-Long': 'y'.repeat(dice.pick([100_000, 1_000_000, 1_900_000])) });
      return void response.end();
    case 6:
      // A stream that lasts until the client disconnects.
      for (let turn = 0; turn < 50 && !response.destroyed; turn += 1) {
        response.write('tick\n');
        await sleep(5);
      }
      return void response.end();
    case 7:
      // Closes a persistent connection right after the response.
      response.end('ok');
      await sleep(1);
      return void socket.destroy();
    default:
      // Responds before the body was read.
      return void response.end('early');
  }
}

function takeOver(socket: Socket, head: Buffer, dice: Dice): void {
  switch (dice.between(0, 5)) {
    case 0:
      return void socket.destroy();
    case 1:
      return void socket.end('HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno');
    case 2:
      return void socket.end();
    default:
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.write(head);
      socket.on('data', (chunk) => socket.write(chunk));
      socket.on('end', () => socket.end());
  }
}
