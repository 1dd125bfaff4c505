import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestAddress } from '../../src/repository/stores/address.ts';
import { freePort } from '../docker/free-port.ts';
import { startServer } from './server-process.ts';

export interface RestServer extends AsyncDisposable {
  /** `https://127.0.0.1:port/` */
  readonly url: string;
  /** Where its repositories lie. */
  readonly folder: string;
}

export interface RestServerOptions {
  /** Further arguments; by default, no login is required. */
  readonly args?: readonly string[];
  readonly folder?: string;
  readonly tls?: boolean;
  readonly port?: number;
}

/** restic's REST server on the loopback, with its own folder. */
export async function startRestServer(options: RestServerOptions = {}): Promise<RestServer> {
  const port = options.port ?? (await freePort());
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'rest-'));
  const args = ['--listen', `127.0.0.1:${port}`, '--path', folder, ...(options.args ?? ['--no-auth'])];
  const server = await startServer('restic-rest-server', args, { port });
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}/`,
    folder,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      if (options.folder === undefined) rmSync(folder, { recursive: true });
    },
  };
}

export function restAddress(url: string, more: Partial<RestAddress> = {}): RestAddress {
  return {
    kind: 'rest',
    text: `rest:${url}`,
    url,
    user: undefined,
    password: undefined,
    tls: { ca: undefined, clientCertificate: undefined },
    proxy: undefined,
    ...more,
  };
}
