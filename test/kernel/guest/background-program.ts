import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface BackgroundProgram extends AsyncDisposable {
  /** Its output so far. */
  output(): string;
  /** Ends it like a crash. */
  kill(): Promise<void>;
}

/** Starts a server in the foreground of its own process group, and ends it on disposal. */
export async function startProgram(program: string, args: readonly string[]): Promise<BackgroundProgram> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  await once(child, 'spawn');
  return {
    output: () => text,
    kill: () => end(child, 'SIGKILL'),
    [Symbol.asyncDispose]: () => end(child, 'SIGTERM'),
  };
}

/** Throws when nothing listens there after a while. */
export async function waitForPort(port: number, output: () => string): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (await listens(port)) return;
    await sleep(100);
  }
  throw new Error(`Nothing listens on port ${port}: ${output()}`);
}

async function listens(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  // Includes the children that serve its connections.
  process.kill(-child.pid, signal);
  await Promise.race([ended, sleep(5000, undefined, { ref: false })]);
  if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
  await ended;
}
