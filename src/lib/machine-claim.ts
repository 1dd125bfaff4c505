import { hash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../model/errors.ts';
import { peerCredentials } from './peer-process.ts';

/** Who has what was to be claimed. */
export interface ClaimHolder {
  /** Its process number; undefined when it cannot be told (another pid namespace, or one that lets nobody ask). */
  readonly pid: number | undefined;
}

/** For messages. */
export function holderWords({ pid }: ClaimHolder): string {
  return pid === undefined ? 'another Holdfast process' : `process ${pid}`;
}

const triesAtMost = 10;

/**
 * Takes a name for this process alone, among all programs of this machine that share its network namespace; or says who
 * has it. Never waits. It ends with the process, however that ends, and leaves nothing behind: it is the address of a
 * socket in the kernel's abstract namespace. Only root and the same user are believed, so that nobody else can keep this
 * one from its work unseen: past a stranger who can be seen as one, this one works without a claim. Whoever cannot be asked,
 * or is another one each time, may be one of ours, and counts as such. Where no such socket can be made at all, nothing is
 * claimed, and nobody is kept away.
 */
export async function claimOnMachine(
  name: string,
): Promise<AsyncDisposable | { readonly heldBy: ClaimHolder }> {
  const address = `\0holdfast/${hash('sha256', name).slice(0, 40)}`;
  for (let tries = 0; tries < triesAtMost; tries++) {
    const server = await tryToListen(address);
    if (server !== 'taken') return asClaim(server);
    const holder = await askHolder(address);
    if (holder === 'strange') return asClaim(undefined);
    if (holder !== 'gone') return { heldBy: holder };
    await sleep(10);
  }
  return { heldBy: { pid: undefined } };
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

async function askHolder(path: string): Promise<ClaimHolder | 'gone' | 'strange'> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    const peer = peerCredentials(socket);
    if (peer === undefined) return { pid: undefined };
    if (peer.uid !== 0 && peer.uid !== process.getuid?.()) return 'strange';
    return { pid: peer.pid };
  } catch (error) {
    const isGone = errnoOf(error) === 'ECONNREFUSED' || errnoOf(error) === 'ENOENT';
    return isGone ? 'gone' : { pid: undefined };
  } finally {
    socket.destroy();
  }
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
