import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';
import type { SshEndpoint } from './endpoint.ts';
import { SshError } from './engine-error.ts';
import { userEnvironment } from '../../lib/child-environment.ts';

/**
 * One connection to an engine through the system's own `ssh`, so that the user's configuration, keys, agent
 * and known hosts apply. The remote side runs `docker system dial-stdio`. Never prompts: a login that needs a
 * password fails.
 */
export function openSshConnection(endpoint: SshEndpoint): Duplex {
  return new SshConnection(endpoint);
}

export function sshArguments(endpoint: SshEndpoint): string[] {
  return [
    '-T',
    ...['-o', 'BatchMode=yes'],
    ...['-o', 'ConnectTimeout=10'],
    ...['-o', 'ServerAliveInterval=15'],
    ...(endpoint.user === undefined ? [] : ['-l', endpoint.user]),
    ...(endpoint.port === undefined ? [] : ['-p', String(endpoint.port)]),
    '--',
    endpoint.host,
    'docker',
    ...(endpoint.remoteSocket === undefined ? [] : ['--host', `unix://${endpoint.remoteSocket}`]),
    ...['system', 'dial-stdio'],
  ];
}

const stderrLimit = 4096;
const killDelayMs = 2000;

/** A stream over ssh's stdin and stdout that `node:http` accepts as a socket. */
class SshConnection extends Duplex {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #stderr = '';
  #pendingRead = false;

  constructor(endpoint: SshEndpoint) {
    super({ allowHalfOpen: true });
    // A process group of its own: Ctrl-C at the terminal must not cut the connection before our cleanup over
    // it.
    this.#child = spawn('ssh', sshArguments(endpoint), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: userEnvironment(),
      detached: true,
    });
    this.#child.on('error', (error) => this.destroy(new SshError(`ssh cannot be started: ${error.message}`)));
    this.#child.on('close', (code, signal) => this.#onClose(code, signal));
    // ssh has ended; its exit is reported.
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrLimit);
    });
    const { stdout } = this.#child;
    stdout.on('readable', () => this.#pump());
  }

  override _read(): void {
    this.#pendingRead = true;
    this.#pump();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#child.stdin.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      setTimeout(() => this.#child.kill('SIGKILL'), killDelayMs).unref();
    }
    callback(error);
  }

  // What `node:http` requires of a socket.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    this.#child.ref();
    return this;
  }
  unref(): this {
    this.#child.unref();
    return this;
  }

  #pump(): void {
    while (this.#pendingRead) {
      const chunk = this.#child.stdout.read() as Buffer | null;
      if (chunk === null) return;
      this.#pendingRead = this.push(chunk);
    }
  }

  #onClose(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.destroyed) return;
    // Only now: the end of its output alone does not show whether ssh failed.
    if (code === 0) {
      this.push(null);
      return;
    }
    const words = this.#stderr.trim().split('\n').slice(-3).join(' ');
    this.destroy(new SshError(words || `ssh ended with ${signal ?? `exit number ${String(code)}`}`));
  }
}
