import { once } from 'node:events';
import type { Socket } from 'node:net';
import { runProgram } from '../lib/run-program.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { DriverCall } from './driver.ts';
import { connectTo, type Server } from './probe-server.ts';

const nfsProgram = 100_003;
const replyMs = 5000;

export interface NfsTarget extends Server {
  readonly path: string;
  /** The allowed versions, best first. */
  readonly versions: readonly number[];
}

/** Asks the server whether it speaks NFS, in which version, and, for version 3, whether it has the export. */
export async function probeNfs(target: NfsTarget, call: DriverCall = {}): Promise<void> {
  const { host, port } = target;
  using socket = await connectTo(target, call);
  const spoken: number[] = [];
  for (const version of target.versions) if (await speaks(socket, version, call)) spoken.push(version);
  if (spoken.length === 0) {
    const versions = target.versions.join(' or ');
    throw new AppError(
      'unavailable',
      `The server ${quote(host)} speaks no NFS version ${versions} on port ${port}`,
      {
        hint: 'Choose another version with nfsvers= in "-o o=…", or turn it on at the server.',
      },
    );
  }
  if (spoken[0] === 3) await probeExport(target, call);
}

/** Calls the null procedure, which every version of a program has. */
async function speaks(socket: Socket, version: number, { signal }: DriverCall): Promise<boolean> {
  const xid = 0x4846_0000 + version;
  socket.write(nullCall(xid, version));
  const over = new AbortController();
  const end = (): void => over.abort();
  // Not AbortSignal.timeout(), which does not keep a process alive: once the server has closed the
  // connection, nothing would.
  const timer = setTimeout(end, replyMs);
  socket.once('close', end);
  try {
    if (socket.closed || socket.readableEnded) end();
    const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    const [reply] = (await once(socket, 'data', { signal: either })) as [Buffer];
    return isAccepted(reply, xid);
  } catch (error) {
    if (signal?.aborted === true)
      throw new AppError('cancelled', 'Asking the server was cancelled', { cause: error });
    throw new AppError('unavailable', 'What listens there does not answer as an NFS server', {
      hint: 'Check the port: it is 2049 unless it was changed at the server.',
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    socket.off('close', end);
  }
}

export function nullCall(xid: number, version: number): Buffer {
  // Record mark, id, call, RPC 2, program, version, procedure 0, and no credentials twice.
  const words = [xid, 0, 2, nfsProgram, version, 0, 0, 0, 0, 0];
  const message = Buffer.alloc(4 + words.length * 4);
  message.writeUInt32BE((0x8000_0000 | (words.length * 4)) >>> 0, 0);
  words.forEach((word, index) => message.writeUInt32BE(word, 4 + index * 4));
  return message;
}

/** Record mark, id, reply, accepted, verifier of no bytes, status. */
export function isAccepted(reply: Buffer, xid: number): boolean {
  if (reply.length < 28 || reply.readUInt32BE(4) !== xid) return false;
  const [isReply, denied, verifierBytes] = [
    reply.readUInt32BE(8),
    reply.readUInt32BE(12),
    reply.readUInt32BE(20),
  ];
  const at = 24 + verifierBytes;
  return isReply === 1 && denied === 0 && reply.length >= at + 4 && reply.readUInt32BE(at) === 0;
}

/** A server that does not list its exports may still be mounted. */
async function probeExport({ host, path }: NfsTarget, { signal }: DriverCall): Promise<void> {
  const options = { signal, timeoutMs: 8000, debianPackage: 'nfs-common' };
  const result = await runProgram('showmount', ['--exports', '--no-headers', host], options).catch(
    () => undefined,
  );
  if (result?.status !== 0) return;
  const exported = result.stdout.split('\n').flatMap((line) => line.split(/\s+/, 1));
  if (exported.some((one) => one !== '' && (path === one || path.startsWith(one === '/' ? '/' : `${one}/`))))
    return;
  throw new AppError('not-found', `The server ${quote(host)} does not export ${quote(path)}`, {
    detail: `It exports: ${exported.filter((one) => one !== '').join(', ') || 'nothing'}`,
    hint: 'Choose one of these, or export it at the server (/etc/exports, then exportfs -ra).',
  });
}
