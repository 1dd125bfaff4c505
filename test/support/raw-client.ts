import { connect, type Socket } from 'node:net';

/** The path of a unix socket, or a port of the loopback. */
export type Listener = string | { readonly host: '127.0.0.1'; readonly port: number };

export function connectTo(listener: Listener): Socket {
  const at = typeof listener === 'string' ? { path: listener } : listener;
  return connect({ ...at, allowHalfOpen: true });
}

export interface RawOptions {
  /** The client closes its side after its bytes, and continues to read. */
  readonly half?: boolean;
  /** The connection is given up after this long without a byte. */
  readonly quietMs?: number;
  /** The client disconnects as soon as it has received this. */
  readonly until?: string;
}

/** Sends raw bytes, and returns everything received until the other end closed or was quiet for long. */
export async function sendRaw(
  listener: Listener,
  bytes: string | Buffer,
  { half = false, quietMs = 10_000, until }: RawOptions = {},
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const client = connectTo(listener);
  let answer = '';
  client.setEncoding('latin1');
  client.on('data', (text: string) => {
    answer += text;
    if (until !== undefined && answer.includes(until)) client.destroy();
  });
  client.on('error', () => undefined);
  client.on('end', () => client.destroy());
  client.on('close', () => resolve(answer));
  client.setTimeout(quietMs, () => client.destroy());
  if (half) client.end(bytes, 'latin1');
  else client.write(bytes, 'latin1');
  return await promise;
}
