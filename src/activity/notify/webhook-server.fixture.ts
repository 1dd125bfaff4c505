import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface WebhookServer extends AsyncDisposable {
  readonly origin: string;
  readonly received: Received[];
  /** What the next requests are answered with, in order; then 200. `hang` never answers. */
  readonly answers: (number | 'hang' | { status: number; headers?: Record<string, string>; body?: string })[];
}

/** A server on the loopback that writes down what it is told. */
export async function startWebhookServer(): Promise<WebhookServer> {
  const received: Received[] = [];
  const answers: WebhookServer['answers'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      received.push({ method, path: url, headers, body: Buffer.concat(chunks).toString() });
      const answer = answers.shift() ?? 200;
      if (answer === 'hang') return;
      const {
        status,
        headers: own = {},
        body = '',
      } = typeof answer === 'number' ? { status: answer } : answer;
      response.writeHead(status, own).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    received,
    answers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
