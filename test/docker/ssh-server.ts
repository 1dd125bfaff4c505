import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const sshd = '/usr/sbin/sshd';

export const hasSshServer = existsSync(sshd);

export interface SshServer extends AsyncDisposable {
  readonly port: number;
  /** To be put before PATH: an `ssh` that knows this server and its key, and nothing of the user's own settings. */
  readonly path: string;
  /** Makes the client forget the server's key. */
  forgetServer(): Promise<void>;
}

/** An SSH server on the loopback with keys of its own, for logins as the user who runs the test. */
export async function startSshServer(folder: string): Promise<SshServer> {
  const port = await freePort();
  const at = (name: string): string => join(folder, name);
  await mkdir(at('bin'), { recursive: true, mode: 0o700 });
  for (const name of ['host-key', 'user-key'])
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  await writeFile(at('authorized_keys'), await readFile(at('user-key.pub')));
  const [type = '', key = ''] = (await readFile(at('host-key.pub'), 'utf8')).split(' ');
  await writeFile(at('known_hosts'), `[127.0.0.1]:${port} ${type} ${key}\n`);
  await writeFile(
    at('client-config'),
    `IdentityFile ${at('user-key')}\nIdentitiesOnly yes\nUserKnownHostsFile ${at('known_hosts')}\n`,
  );
  await writeFile(at('bin/ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${at('client-config')} "$@"\n`);
  await chmod(at('bin/ssh'), 0o755);
  await writeFile(
    at('server-config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host-key')}`,
      `AuthorizedKeysFile ${at('authorized_keys')}`,
      `PidFile ${at('sshd.pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'Subsystem sftp internal-sftp',
      // Else connections that a test refuses, kills or makes by the dozen would close the server to those after them.
      'MaxStartups 1000',
      ...((await versionOfSsh()) < 9.8 ? [] : ['PerSourcePenalties no']),
      '',
    ].join('\n'),
  );
  // sshd insists on this folder for its unprivileged half.
  await mkdir('/run/sshd', { recursive: true });
  const server = spawn(sshd, ['-D', '-e', '-f', at('server-config')], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await untilListening(port);
  return {
    port,
    path: at('bin'),
    forgetServer: () => writeFile(at('known_hosts'), ''),
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'exit');
      if (server.exitCode === null && server.kill('SIGTERM')) await ended;
    },
  };
}

async function versionOfSsh(): Promise<number> {
  const { stderr } = await run('ssh', ['-V']);
  return Number(/OpenSSH_(\d+\.\d+)/.exec(stderr)?.[1]);
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('sshd did not start.');
}
