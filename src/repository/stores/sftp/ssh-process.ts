import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../model/errors.ts';
import type { SftpAddress } from '../address.ts';
import { userEnvironment } from '../../../lib/child-environment.ts';
import { ChildHold } from '../child-hold.ts';
import { unavailable } from '../store-errors.ts';

export interface SshProcess extends AsyncDisposable {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Held while a response is pending. */
  readonly hold: ChildHold;
  /** Explains the failure, from ssh's own output and its exit. */
  explain(cause: unknown): Promise<AppError>;
}

const stderrLimit = 4096;
const endMs = 3000;

/**
 * Runs the system's `ssh` with the server's SFTP on its pipes: the user's configuration, keys, agent and
 * known hosts apply. It never prompts, and accepts no unknown host key.
 */
export function startSsh(address: SftpAddress): SshProcess {
  // A process group of its own: Ctrl-C at the terminal must not cut the connection before our cleanup over
  // it.
  const child = spawn('ssh', sshArguments(address), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: userEnvironment(),
    detached: true,
  });
  const hold = new ChildHold(child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-stderrLimit)));
  // ssh has ended; its exit is reported.
  child.stdin.on('error', () => undefined);
  const exited = Promise.race([once(child, 'close'), once(child, 'error')]).catch((error: unknown) => [
    error,
  ]);
  return {
    child,
    hold,
    async explain(cause) {
      using _hold = hold.take();
      await Promise.race([exited, sleep(500, undefined, { ref: false })]);
      return sshError(address.text, child.pid === undefined ? 'there is no program "ssh"' : said, cause);
    },
    async [Symbol.asyncDispose]() {
      using _hold = hold.take();
      child.stdin.destroy();
      child.stdout.destroy();
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      if ((await Promise.race([exited, sleep(endMs, 'late', { ref: false })])) !== 'late') return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** The arguments of `ssh` for an address. They override the user's configuration. */
export function sshArguments(address: SftpAddress): string[] {
  const { user, host, port, configFile, identityFile } = address;
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=15',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
    'ClearAllForwardings=yes',
    'ForwardAgent=no',
    'RemoteCommand=none',
    'RequestTTY=no',
  ];
  return [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    ...options.flatMap((option) => ['-o', option]),
    ...(identityFile === undefined ? [] : ['-i', identityFile]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '-s',
    '--',
    host,
    'sftp',
  ];
}

/** Translates ssh's messages. Errors that waiting does not cure are not retried. */
export function sshError(location: string, said: string, cause: unknown): AppError {
  const words = said.trim().split('\n').slice(-3).join(' ').trim();
  const message = (text: string): string => `Cannot reach repository "${location}": ${text}`;
  if (/there is no program/.test(words)) {
    return new AppError('not-found', message(words), { hint: 'Install openssh-client.', cause });
  }
  if (
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No .* host key is known/i.test(said)
  ) {
    const changed = /IDENTIFICATION HAS CHANGED/i.test(said);
    return new AppError(
      'denied',
      message(changed ? "the server's key has changed" : "the server's key is not known"),
      {
        detail: words,
        hint: changed
          ? 'Another machine may be in between. When you know why it changed, remove the old one with "ssh-keygen -R HOST".'
          : 'Log in once with "ssh" as the user who runs this, compare the fingerprint with the server\'s, and accept it.',
        cause,
      },
    );
  }
  if (/permission denied|too many authentication failures|no supported authentication/i.test(words)) {
    return new AppError('denied', message('the server does not take our key'), {
      detail: words,
      hint: 'Nothing is asked here: the key must work without a question. Try "ssh -o BatchMode=yes HOST true".',
      cause,
    });
  }
  if (/subsystem request failed/i.test(words)) {
    return new AppError('unsupported', message('the server offers no SFTP'), { detail: words, cause });
  }
  if (
    /bad configuration option|terminating, \d+ bad|can't open user config|no such identity|bad permissions/i.test(
      words,
    )
  ) {
    return new AppError('failed', message('ssh is not set up right'), { detail: words, cause });
  }
  const reason = words === '' && cause instanceof Error ? cause.message : words;
  return unavailable(location, reason === '' ? 'the connection broke' : reason, cause);
}
