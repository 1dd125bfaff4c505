import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Handles a request; an error, thrown at once or later, ends that request only. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The request under way at an uncaught error: `GET /volumes`, or undefined for none. */
export type TellUncaught = (what: string | undefined, error: unknown) => void;

interface Underway {
  readonly what: string;
  readonly fail: () => void;
}

/**
 * The last line of defence of a service: an error that a request causes, wherever it is thrown, is reported,
 * ends that request with a 500 if it has no answer yet, and leaves the process and all other requests alone.
 * An error of no request is reported as well, and ends nothing.
 */
export class RequestGuard implements Disposable {
  readonly #underway = new AsyncLocalStorage<Underway>();
  readonly #tell: TellUncaught;

  constructor(tell: TellUncaught) {
    this.#tell = tell;
    // Unhandled rejections arrive here, too.
    process.on('uncaughtException', this.#onUncaught);
  }

  request(handler: RequestHandler): RequestListener {
    return (request, response) => {
      // A client that disconnects is not an error of the service: the handler sees the response's "close".
      for (const stream of [request, response]) stream.on('error', ignore);
      response.once('finish', () => endRest(request));
      this.#run({ what: describeRequest(request), fail: () => answerFailure(response) }, async () => {
        try {
          await handler(request, response);
        } finally {
          // An unread body would block further reads of the connection, and hide the client's disconnect.
          request.resume();
        }
      });
    };
  }

  upgrade(handler: UpgradeHandler): UpgradeHandler {
    return (request, socket, head) => {
      socket.on('error', ignore);
      this.#run({ what: describeRequest(request), fail: () => socket.destroy() }, () =>
        handler(request, socket, head),
      );
    };
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#onUncaught);
  }

  #run(underway: Underway, work: () => void | Promise<void>): void {
    const fail = (error: unknown): void => {
      this.#tell(underway.what, error);
      underway.fail();
    };
    this.#underway.run(underway, () => {
      try {
        work()?.catch(fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  readonly #onUncaught = (error: unknown): void => {
    const underway = this.#underway.getStore();
    this.#tell(underway?.what, error);
    underway?.fail();
  };
}

/**
 * An answer that has begun cannot be replaced: it is cut off, so that its reader sees that it is incomplete.
 */
function answerFailure(response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const text = 'Cannot answer: the service met an error of its own, which its log shows';
  // Docker's API has the message in one field, its plugin protocol in the other.
  const body = Buffer.from(`${JSON.stringify({ message: text, Err: text })}\n`);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length, Connection: 'close' };
  try {
    // The status text too: the one that was set may be what failed.
    response.writeHead(500, 'Internal Server Error', headers);
    response.end(body);
  } catch {
    response.destroy();
  }
}

/** How long the rest of a body is read after the answer. */
const restMs = 10_000;

/** A client that keeps sending after its answer gets some time to end, and is then cut off. */
function endRest(request: IncomingMessage): void {
  if (request.complete) return;
  const cut = setTimeout(() => request.socket.destroy(), restMs);
  request.once('close', () => clearTimeout(cut));
}

/** Cut to the length of a log line: `GET /volumes`. */
export function describeRequest({ method = '', url = '' }: IncomingMessage): string {
  return `${method} ${url.length > 200 ? `${url.slice(0, 200)}…` : url}`;
}

function ignore(): void {
  return undefined;
}
