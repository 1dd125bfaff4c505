import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Its output so far. */
  output(): string;
}

export interface ServerProcessOptions {
  readonly port: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts a server and waits until it listens on its port of the loopback. */
export async function startServer(
  program: string,
  args: readonly string[],
  { port, env = process.env }: ServerProcessOptions,
): Promise<ServerProcess> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const server: ServerProcess = {
    child,
    output: () => output,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended;
    },
  };
  for (let attempt = 0; attempt < 2400; attempt++) {
    if (child.exitCode !== null) break;
    if (await isListening(port)) return server;
    await sleep(50);
  }
  await server[Symbol.asyncDispose]();
  throw new Error(`"${program}" did not start: ${output}`);
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isOpen = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return isOpen;
}
