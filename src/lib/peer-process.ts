import type { Socket } from 'node:net';
import koffi from 'koffi';

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)');

const socketLevel = 1;
const peerCredentials = 17;
const credentialsBytes = 12;

/** The number of the process at the other end of a unix socket; undefined when it cannot be told (another pid namespace). */
export function peerProcess(socket: Socket): number | undefined {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const value = Buffer.alloc(credentialsBytes);
  if (getsockopt(fd, socketLevel, peerCredentials, value, [credentialsBytes]) !== 0) return undefined;
  const pid = value.readInt32LE(0);
  return pid > 0 ? pid : undefined;
}
