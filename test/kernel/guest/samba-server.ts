import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type BackgroundProgram, startProgram, waitForPort } from './background-program.ts';

export const login = { username: 'keeper', password: 'a pass,word with=all in it' };
/** The same user's files, for a mount whose options are separated by commas. */
export const plainLogin = { username: 'porter', password: 'plain-secret' };

export interface SambaServer extends AsyncDisposable {
  /** A new directory of the share "data", by its path for clients. */
  newShare(): Promise<string>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const base = '/disk/samba';

/** Samba with two names of one user and one share, on all of the guest's addresses. */
export async function startSambaServer(): Promise<SambaServer> {
  for (const folder of ['private', 'state', 'data']) mkdirSync(join(base, folder), { recursive: true });
  const config = join(base, 'smb.conf');
  writeFileSync(config, configuration());
  for (const { username, password } of [login, plainLogin]) {
    appendFileSync('/etc/passwd', `${username}:x:4321:4321::/:/usr/sbin/nologin\n`);
    const twice = `${password}\n${password}\n`;
    execFileSync('smbpasswd', ['-c', config, '-a', '-s', username], { input: twice, stdio: 'pipe' });
  }
  execFileSync('chown', ['4321:4321', join(base, 'data')]);
  let program: BackgroundProgram | undefined;
  const server: SambaServer = {
    async newShare() {
      const folder = await mkdtemp(join(base, 'data/new-'));
      execFileSync('chown', ['4321:4321', folder]);
      return `//127.0.0.1/data/${basename(folder)}`;
    },
    async start() {
      program = await startProgram('smbd', [
        '--foreground',
        '--no-process-group',
        '--debug-stdout',
        '-s',
        config,
      ]);
      await waitForPort(445, program.output);
    },
    async stop() {
      await program?.[Symbol.asyncDispose]();
      program = undefined;
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
  await server.start();
  return server;
}

function configuration(): string {
  const settings = {
    security: 'user',
    'map to guest': 'never',
    'disable netbios': 'yes',
    'disable spoolss': 'yes',
    'server role': 'standalone server',
    'smb ports': '445',
    'private dir': join(base, 'private'),
    ...Object.fromEntries(
      ['lock directory', 'state directory', 'cache directory', 'pid directory', 'ncalrpc dir'].map((name) => [
        name,
        join(base, 'state'),
      ]),
    ),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return `[global]\n${lines.join('\n')}\n[data]\npath = ${join(base, 'data')}\nread only = no\n`;
}
