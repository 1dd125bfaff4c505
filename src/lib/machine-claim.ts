import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { lstat, mkdir } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../model/errors.ts';
import { ownerIn, tryLockFile } from './file-lock.ts';
import { whoElseWrites } from './own-path.ts';
import { addressesBelow, peerCredentials, socketOwner } from './peer-process.ts';

export interface ClaimHolder {
  /** Its process number; undefined when unknown (another pid namespace, or one that cannot be asked). */
  readonly pid: number | undefined;
}

/** For messages. */
export function holderWords({ pid }: ClaimHolder): string {
  return pid === undefined ? 'another Holdfast process' : `process ${pid}`;
}

type Claimed = AsyncDisposable | { readonly heldBy: ClaimHolder };

const triesAtMost = 10;

export interface ClaimOptions {
  /** Shares the claim with other shared holders of the name, and excludes the rest. */
  readonly isShared?: boolean | undefined;
}

/**
 * Claims a name for this process, among all programs of this machine; or returns its holder. Never waits for
 * the holder. The claim ends with the process, however that ends.
 *
 * A claim is a lock on a file in a folder that no other user can open, so that none can take it first; and
 * the address of a socket in the kernel's abstract namespace, for programs of another user and for older
 * ones. Every user can listen at that address: only root and the same user are believed, and with any other
 * listener this process goes on without the address. Where neither is available, nothing is claimed, and no
 * other process is kept away. Shared holders have addresses of their own below the name: each kind takes its
 * own first and then looks for the other's, so that of two concurrent claims none is missed.
 */
export async function claimOnMachine(
  name: string,
  { isShared = false }: ClaimOptions = {},
): Promise<Claimed> {
  const id = hash('sha256', name).slice(0, 40);
  await using taken = new AsyncDisposableStack();
  const lock = await lockInOwnFolder(id, { isShared });
  if (lock !== undefined) {
    if ('heldBy' in lock) return { heldBy: { pid: ownerIn(lock.heldBy, readPid)?.pid } };
    taken.use(lock);
  }
  const address = `\0holdfast/${id}`;
  const isLocked = lock !== undefined;
  const own = isShared ? `${address}/${process.pid}.${randomBytes(8).toString('hex')}` : address;
  const claim = await claimAddress(own, { isLocked });
  if ('heldBy' in claim) return claim;
  taken.use(claim);
  for (const other of isShared ? [address] : addressesBelow(`${address}/`, isBelieved)) {
    const holder = await findHolder(other);
    if (holder === 'gone' || holder === 'strange' || (holder === 'silent' && isLocked)) continue;
    return { heldBy: holder === 'silent' ? { pid: undefined } : holder };
  }
  return taken.move();
}

function readPid(line: string): { readonly pid: number } | undefined {
  const pid = Number(line);
  return pid > 0 ? { pid } : undefined;
}

type LockTaken = Awaited<ReturnType<typeof tryLockFile>>;

/** Locks in the first existing folder that only this user can open; undefined where there is none. */
async function lockInOwnFolder(id: string, { isShared }: ClaimOptions): Promise<LockTaken | undefined> {
  for (const folder of ownFolders()) {
    if (!(await isOwnFolder(folder))) continue;
    try {
      return await tryLockFile(join(folder, id), { owner: String(process.pid), isRemoved: true, isShared });
    } catch (error) {
      // The file system is full or read-only, so only the socket protects the name.
      if (!['ENOSPC', 'EDQUOT', 'EROFS', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
  return undefined;
}

/** Folders that do not survive a reboot, like all claims. */
function ownFolders(): string[] {
  const uid = process.geteuid?.() ?? 0;
  const own = process.env['XDG_RUNTIME_DIR'];
  const runtime = uid === 0 ? '/run' : own?.startsWith('/') === true ? own : `/run/user/${uid}`;
  return [join(runtime, 'holdfast-claims')];
}

async function isOwnFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    const { mode, uid } = await lstat(folder);
    return uid === process.geteuid?.() && (mode & 0o077) === 0 && (await whoElseWrites(folder)) === undefined;
  } catch {
    return false;
  }
}

async function claimAddress(address: string, { isLocked }: { readonly isLocked: boolean }): Promise<Claimed> {
  let wasSilent = false;
  for (let tries = 0; tries < triesAtMost; tries++) {
    const server = await tryToListen(address);
    if (server !== 'taken') return asClaim(server);
    const holder = await findHolder(address);
    if (holder === 'strange') return asClaim(undefined);
    if (holder !== 'gone' && holder !== 'silent') return { heldBy: holder };
    wasSilent = holder === 'silent';
    await sleep(10);
  }
  // A trusted holder would have stayed and been seen: this is a stranger who comes and goes.
  return wasSilent && !isLocked ? { heldBy: { pid: undefined } } : asClaim(undefined);
}

async function tryToListen(path: string): Promise<Server | 'taken' | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  try {
    server.listen({ path });
    await once(server, 'listening');
    return server;
  } catch (error) {
    return errnoOf(error) === 'EADDRINUSE' ? 'taken' : undefined;
  }
}

/** The kernel knows the owner; the owning process may refuse every connection. */
async function findHolder(path: string): Promise<ClaimHolder | 'gone' | 'strange' | 'silent'> {
  const owner = socketOwner(path);
  if (owner !== undefined && !isBelieved(owner)) return 'strange';
  const asked = await askHolder(path);
  return asked === 'silent' && owner !== undefined ? { pid: undefined } : asked;
}

async function askHolder(path: string): Promise<ClaimHolder | 'gone' | 'strange' | 'silent'> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    const peer = peerCredentials(socket);
    if (peer === undefined) return 'silent';
    return isBelieved(peer.uid) ? { pid: peer.pid } : 'strange';
  } catch (error) {
    const isGone = errnoOf(error) === 'ECONNREFUSED' || errnoOf(error) === 'ENOENT';
    return isGone ? 'gone' : 'silent';
  } finally {
    socket.destroy();
  }
}

function isBelieved(uid: number): boolean {
  return uid === 0 || uid === process.getuid?.();
}

function asClaim(server: Server | undefined): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      if (server === undefined) return;
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
