import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type BackgroundProgram, startProgram, waitForPort } from './background-program.ts';

export interface NfsServer extends AsyncDisposable {
  /** A new directory: its path for clients, and its local folder. */
  newExport(): Promise<{ readonly path: string; readonly folder: string }>;
  /** The kernel's part, with which clients communicate. */
  start(): void;
  stop(): void;
}

/** The server's root: version 4 begins there, and the guest's own root cannot be exported. */
const root = '/disk/nfs';

/** The kernel's NFS server with its programs, on all of the guest's addresses. */
export async function startNfsServer(): Promise<NfsServer> {
  const folders = [
    join(root, 'export'),
    join(root, 'secure'),
    join(root, 'not-for-us'),
    '/etc/nfs.conf.d',
    '/run/rpcbind',
  ];
  for (const folder of [...folders, '/run/rpc_pipefs', '/var/lib/nfs/sm', '/var/lib/nfs/nfsdcld'])
    mkdirSync(folder, { recursive: true });
  writeFileSync('/etc/nfs.conf.d/guest.conf', `[exports]\nrootdir=${root}\n`);
  writeFileSync(
    '/etc/exports',
    '/export *(rw,no_root_squash,no_subtree_check,insecure)\n/secure *(rw,no_subtree_check)\n/not-for-us 192.0.2.1(rw)\n',
  );
  run('modprobe', ['nfsd']);
  run('mount', ['-t', 'nfsd', 'nfsd', '/proc/fs/nfsd']);
  run('mount', ['-t', 'rpc_pipefs', 'rpc_pipefs', '/run/rpc_pipefs']);
  const programs: BackgroundProgram[] = [];
  const rpcbind = await startProgram('rpcbind', ['-f', '-w']);
  programs.push(rpcbind);
  await waitForPort(111, rpcbind.output);
  programs.push(await startProgram('rpc.statd', ['--foreground', '--no-notify']));
  programs.push(await startProgram('rpc.mountd', ['--foreground']));
  // nfsdcld records the known clients; otherwise every start waits for them to come back.
  programs.push(await startProgram('nfsdcld', ['--foreground']));
  run('exportfs', ['-ra']);
  const server: NfsServer = {
    async newExport() {
      const folder = await mkdtemp(join(root, 'export/new-'));
      return { folder, path: `/${relative(root, folder)}` };
    },
    start: () => run('rpc.nfsd', ['--lease-time', '10', '--grace-time', '10', '4']),
    stop: () => run('rpc.nfsd', ['0']),
    async [Symbol.asyncDispose]() {
      server.stop();
      run('exportfs', ['-ua']);
      for (const program of programs.toReversed()) await program[Symbol.asyncDispose]();
      run('umount', ['/proc/fs/nfsd', '/run/rpc_pipefs']);
    },
  };
  server.start();
  return server;
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
