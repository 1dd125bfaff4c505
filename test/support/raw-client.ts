import { connect } from 'node:net';

export interface RawOptions {
  /** The client closes its side after its bytes, and reads on. */
  readonly half?: boolean;
  /** How long the other end may be quiet before the connection is given up. */
  readonly quietMs?: number;
  /** The client goes away as soon as this has come back. */
  readonly until?: string;
}

/** Sends bytes as they are, and gives all that came back until the other end closed or was quiet for long. */
export async function sendRaw(
  socketPath: string,
  bytes: string | Buffer,
  { half = false, quietMs = 10_000, until }: RawOptions = {},
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const client = connect({ path: socketPath, allowHalfOpen: true });
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
