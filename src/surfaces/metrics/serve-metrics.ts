import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isIP } from 'node:net';
import { errorInWords } from '../../lib/known-error.ts';
import { sayUncaught } from '../say-uncaught.ts';
import { isLoopback, type ListenAddress } from '../../lib/listen-address.ts';
import { serveHttp } from '../serve/serve-http.ts';

export interface MetricsServiceRequest {
  readonly address: ListenAddress;
  readonly contentType: string;
  readonly text: () => Promise<string>;
  readonly signal: AbortSignal;
  readonly say: (message: string) => void;
}

/** A scrape is one short request of one client. */
const limits = { connections: 64, headBytes: 16_384, requestMs: 30_000 };
const graceMs = 1_000;
const retryMs = 60_000;

/**
 * Serves `/metrics` until the signal is aborted. Never throws: an address that cannot be had is said and tried
 * again each minute, because backups go on without metrics.
 */
export async function serveMetrics(request: MetricsServiceRequest): Promise<void> {
  const { address, signal, say } = request;
  const where = `http://${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}/metrics`;
  let said = '';
  while (!signal.aborted) {
    try {
      await serveHttp({
        socket: address,
        signal,
        graceMs,
        limits,
        onListening: () => say(`Metrics are served at ${where}.`),
        onUncaught(what, error) {
          // The daemon's own error: it ends the daemon, as it would without metrics.
          if (what === undefined) throw error;
          sayUncaught(say, what, error);
        },
        onUnaccepted: (error) => say(`Warning: a connection for metrics was not accepted: ${error.message}`),
        onRequest: async (incoming, response) => await answer(request, incoming, response),
      });
      return;
    } catch (error) {
      if (signal.aborted) return;
      const problem = `Warning: no metrics: ${errorInWords(error)}. It is tried again each minute.`;
      if (problem !== said) say(problem);
      said = problem;
      // Rejects when the signal is aborted, which the loop sees.
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function answer(
  { address, contentType, text }: MetricsServiceRequest,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const plain = (status: number, body: string): void => {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
    response.end(`${body}\n`);
  };
  // A page in a browser on this machine can send requests here under a name of its own.
  if (isLoopback(address) && !isLocalName(incoming.headers.host)) return plain(403, 'Use the address itself');
  const { method = '' } = incoming;
  const [path] = (incoming.url ?? '').split('?', 1);
  if (path !== '/metrics') return plain(404, 'The metrics are at /metrics');
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'Metrics can only be read');
  const body = Buffer.from(await text());
  response.writeHead(200, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  response.end(method === 'HEAD' ? undefined : body);
}

/** An HTTP/1.0 client sends no host, and no browser does that. */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}
