import { Agent, request } from 'node:http';
import { AppError } from '../src/model/errors.ts';

/** One connection to a server of the Engine API at a socket: the same client for every measured side. */
export class ApiClient implements Disposable {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The text of a successful response. `failed` for any other. */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const headers = { 'content-type': 'application/json' };
    const sent = request({ socketPath: this.#socketPath, agent: this.#agent, method, path, headers });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const status = response.statusCode ?? 500;
        if (status < 300) resolve(text);
        else
          reject(new AppError('failed', `"${method} ${path}" was answered with ${status}`, { detail: text }));
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
