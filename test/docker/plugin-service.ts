import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../scripts/run-command.ts';
import { mountPoints } from '../setup/leftovers.ts';
import { command } from '../support/holdfast-command.ts';

/** The real plugin as a service of the machine, a process of its own that can be killed. */
export class PluginService implements AsyncDisposable {
  readonly driver: string;
  readonly socket: string;
  readonly stateDir: string;
  #child: ChildProcess | undefined;

  /** `socketFolder` is the one of the engine that is to find it; the machine's own would offer the volumes to every engine. */
  constructor(
    stateDir: string,
    {
      socketFolder,
      driver = `hf${randomBytes(4).toString('hex')}`,
    }: { readonly socketFolder: string; readonly driver?: string },
  ) {
    this.stateDir = stateDir;
    this.driver = driver;
    this.socket = join(socketFolder, `${driver}.sock`);
  }

  async start(env: Readonly<Record<string, string>> = {}, ...more: string[]): Promise<void> {
    const args = ['plugin', '--state-dir', this.stateDir, '--socket', this.socket, ...more];
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    let said = '';
    child.stderr?.setEncoding('utf8');
    for await (const chunk of child.stderr as AsyncIterable<string>) {
      said += chunk;
      if (said.includes('are served to Docker')) break;
    }
    child.stderr?.resume();
    if (!said.includes('are served')) throw new Error(`the plugin did not start: ${said}`);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  mountsHere(): string[] {
    return mountPoints().filter((path) => path.startsWith(`${this.stateDir}/`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM');
    for (const path of [this.socket, `${this.socket}.lock`]) rmSync(path, { force: true });
    // Nothing can be made in a place of a mount, and nothing removed.
    await runCommand('chattr', ['-R', '-f', '-i', this.stateDir]);
  }
}
