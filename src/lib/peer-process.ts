import type { Socket } from 'node:net';
import koffi from 'koffi';

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)');

const socketLevel = 1;
const peerCredentialsOption = 17;
const credentialsBytes = 12;

export interface PeerCredentials {
  /** Undefined when it cannot be told (another pid namespace). */
  readonly pid: number | undefined;
  readonly uid: number;
}

/** The number of the process at the other end of a unix socket; undefined when it cannot be told (another pid namespace). */
export function peerProcess(socket: Socket): number | undefined {
  return peerCredentials(socket)?.pid;
}

/** The process at the other end of a unix socket, as it was when it connected or began to listen. */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const value = Buffer.alloc(credentialsBytes);
  if (getsockopt(fd, socketLevel, peerCredentialsOption, value, [credentialsBytes]) !== 0) return undefined;
  const pid = value.readInt32LE(0);
  return { pid: pid > 0 ? pid : undefined, uid: value.readUInt32LE(4) };
}
