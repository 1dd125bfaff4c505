import type { Server } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { ListenAddress } from '../../lib/listen-address.ts';

/** Makes `server` listen; its port is free again when the server is closed. */
export async function listenOnAddress(server: Server, address: ListenAddress): Promise<AsyncDisposable> {
  const { host, port } = address;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    const action = `Cannot listen at ${host}:${port}`;
    if (errnoOf(error) !== 'EADDRINUSE') throw knownError(error, action);
    throw new AppError('in-use', `${action}: another program listens there`, { cause: error });
  }
  server.off('error', reject);
  return { [Symbol.asyncDispose]: async () => undefined };
}
