import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Address } from '../../src/repository/stores/address.ts';
import { freePort } from '../docker/free-port.ts';
import { startServer } from './server-process.ts';

export interface MotoServer extends AsyncDisposable {
  readonly port: number;
  readonly endpoint: string;
  output(): string;
}

export const motoCredentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
};

/** Debian's, where another one is found first. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const program = join(import.meta.dirname, 'moto-in-turn.py');

/** An S3 server (moto) on the loopback. It keeps everything in memory. */
export async function startMoto(env: Readonly<Record<string, string>> = {}): Promise<MotoServer> {
  const port = await freePort();
  const server = await startServer(python, [program, '-H', '127.0.0.1', '-p', String(port)], {
    port,
    env: { ...process.env, ...env },
  });
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    output: () => server.output(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** An address in a separate bucket, unless `more` names one. */
export function motoAddress(
  { endpoint }: Pick<MotoServer, 'endpoint'>,
  bucket: string,
  more: Partial<S3Address> = {},
): S3Address {
  const prefix = more.prefix ?? 'some/prefix';
  return {
    kind: 's3',
    text: `s3:${endpoint}/${bucket}${prefix === '' ? '' : `/${prefix}`}`,
    endpoint,
    bucket,
    prefix,
    region: 'us-east-1',
    pathStyle: 'auto',
    credentials: motoCredentials,
    storageClass: undefined,
    objectLock: undefined,
    partBytes: 5 * 1024 * 1024,
    tls: { ca: undefined, clientCertificate: undefined },
    proxy: undefined,
    ...more,
  };
}
