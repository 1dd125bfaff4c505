import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../../scripts/run-command.ts';
import { command } from '../support/holdfast-command.ts';

export interface Api extends AsyncDisposable {
  readonly socket: string;
  readonly stateDir: string;
}

/** Serves the API from a folder, with a state folder of its own in it. */
export async function startApi(folder: string, ...args: string[]): Promise<Api> {
  const [socket, stateDir] = [join(folder, 'api.sock'), join(folder, 'state')];
  await mkdir(folder, { recursive: true });
  const child = spawn(command, ['api', '--state-dir', stateDir, '--socket', socket, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => (said += text));
  while (!said.includes('is served at')) {
    if (child.exitCode !== null) throw new Error(`the API did not start: ${said}`);
    await sleep(50);
  }
  return {
    socket,
    stateDir,
    async [Symbol.asyncDispose]() {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
      await runCommand('chattr', ['-R', '-f', '-i', stateDir]);
    },
  };
}
