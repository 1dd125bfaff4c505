import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { AppError, errnoOf } from '../../model/errors.ts';
import { tryLockFile } from '../../lib/file-lock.ts';
import { knownError } from '../../lib/known-error.ts';

export interface ServedSocket {
  readonly path: string;
  /** Permission bits; exact, whatever the process's umask. */
  readonly mode: number;
  /** Owner group; undefined keeps the process's own. */
  readonly gid?: number | undefined;
  /** A listening socket that a service manager passed, instead of making one at `path`. */
  readonly fd?: number | undefined;
}

/** The longest path that a socket's address can hold. */
const longestPath = 107;

/**
 * Makes `server` listen on a unix socket, whose folder is made when it is missing. Replaces a dead process's
 * socket at the path; a socket that is served is `in-use`, and any other file is `exists`. The socket is
 * invisible until it has its mode. Disposal removes it, unless another has replaced it.
 */
export async function listenOnSocket(server: Server, request: ServedSocket): Promise<AsyncDisposable> {
  if (request.fd !== undefined) {
    await listening(server, { fd: request.fd });
    return { [Symbol.asyncDispose]: async () => undefined };
  }
  const action = `Cannot listen at "${request.path}"`;
  try {
    return await listenAtPath(server, request, action);
  } catch (error) {
    throw knownError(error, action);
  }
}

async function listenAtPath(server: Server, request: ServedSocket, action: string): Promise<AsyncDisposable> {
  const { path, mode, gid } = request;
  // Under a temporary name first: the socket is moved to its place when it has its owner and its mode.
  const draft = `${path}.${randomBytes(3).toString('hex')}`;
  if (Buffer.byteLength(draft) > longestPath) {
    throw new AppError('usage', `${action}: the path is too long for a socket`, {
      hint: `Choose one of at most ${longestPath - 7} bytes.`,
    });
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const lock = await tryLockFile(`${path}.lock`, { owner: String(process.pid) });
  if ('heldBy' in lock) throw servedAlready(action, lock.heldBy);
  await using opened = new AsyncDisposableStack();
  opened.use(lock);
  await refuseForeign(path, action);
  await listening(server, { path: draft });
  opened.defer(() => rm(draft, { force: true }));
  await chmod(draft, mode);
  if (gid !== undefined) await chown(draft, -1, gid);
  const { ino, dev } = await lstat(draft);
  await rename(draft, path);
  const held = opened.move();
  return {
    async [Symbol.asyncDispose]() {
      const now = await lstat(path).catch(() => undefined);
      if (now?.ino === ino && now.dev === dev) await rm(path, { force: true });
      await held.disposeAsync();
    },
  };
}

/** Only a socket that no process serves may be replaced. */
async function refuseForeign(path: string, action: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AppError('exists', `${action}: something else than a socket is there`, {
      hint: `Choose another path, or move "${path}" away.`,
    });
  }
  if (await isServed(path)) throw servedAlready(action, '');
}

async function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', (error) => resolve(errnoOf(error) !== 'ECONNREFUSED' && errnoOf(error) !== 'ENOENT'));
  const served = await promise;
  socket.destroy();
  return served;
}

function servedAlready(action: string, pid: string): AppError {
  const who = /^\d+$/.test(pid) ? `process ${pid}` : 'another process';
  return new AppError('in-use', `${action}: ${who} listens there already`, {
    hint: 'End it first, or choose another path by --socket.',
  });
}

async function listening(server: Server, where: { fd: number } | { path: string }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(where, resolve);
  await promise;
  server.off('error', reject);
}
