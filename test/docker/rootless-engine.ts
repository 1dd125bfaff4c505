/**
 * A Docker Engine without root: `dockerd` in a user namespace of an unprivileged user. The user and the ranges of numbers
 * are known in a mount namespace of the test's own only, and programs that have to know them run `inside()`. Nothing is
 * shared with an engine of the machine, and nothing is pulled. Starting takes about four seconds. Needs root.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand, type RunOptions, type RunResult } from '../../scripts/run-command.ts';
import { endDaemon, importBusybox, isAnswering, letThrough } from './private-engine.ts';

const readyMs = 180_000;

/** No number of these is a test's or the machine's. */
const user = 47_100;
const firstSubordinate = 2_000_000;

export interface RootlessEngine extends AsyncDisposable {
  readonly dockerHost: string;
  /** A folder of the user's; gone after the disposal. */
  readonly home: string;
  /** The number of the user, who is root in the containers. */
  readonly user: number;
  /** The number of the user 1 of the containers. */
  readonly firstSubordinate: number;
  /** Runs a program in a folder, where the user and the ranges are known. */
  inside(command: readonly [string, ...string[]], options: RunOptions & { cwd: string }): Promise<RunResult>;
}

export async function startRootlessEngine(): Promise<RootlessEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'rootless-'));
  const home = join(folder, 'home');
  const [socket, log] = [join(home, 'docker.sock'), join(folder, 'dockerd.log')];
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  await mkdir(home, { mode: 0o700 });
  await chown(home, user, user);
  // The user has to get to what is theirs.
  await letThrough(folder);
  const namespace = await knowUser(folder);
  opened.defer(() => endDaemon(namespace, 'SIGKILL'));
  const enter: readonly string[] = [`--mount=/proc/${namespace.pid}/ns/mnt`, '--'];
  const daemon = startDaemon(enter, { home, socket, log });
  opened.defer(() => endDaemon(daemon, 'SIGTERM'));
  for (const deadline = Date.now() + readyMs; !(await isAnswering(socket)); await sleep(100))
    if (daemon.exitCode !== null || Date.now() > deadline)
      throw new Error(`dockerd did not start:\n${(await readFile(log, 'utf8')).slice(-3000)}`);
  const dockerHost = `unix://${socket}`;
  const docker = async (args: readonly string[]): Promise<string> => {
    const { exitCode, stdout, output } = await runCommand('docker', args, {
      env: { ...process.env, DOCKER_HOST: dockerHost },
    });
    if (exitCode !== 0) throw new Error(`docker ${args.join(' ')}: ${output}`);
    return stdout.trimEnd();
  };
  opened.defer(async () => {
    const ids = (await docker(['ps', '-aq'])).split('\n').filter((id) => id !== '');
    if (ids.length > 0) await docker(['rm', '-f', ...ids]);
  });
  await importBusybox(folder, docker);
  const all = opened.move();
  return {
    dockerHost,
    home,
    user,
    firstSubordinate,
    // To enter a mount namespace leads to its root.
    inside: (command, { cwd, ...options }) =>
      runCommand('nsenter', [...enter, 'env', '-C', cwd, ...command], options),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Starts a process that holds a mount namespace in which the user and the ranges are known. */
async function knowUser(folder: string): Promise<ChildProcess> {
  const lines = {
    passwd: `rootless:x:${user}:${user}::/nonexistent:/bin/sh\n`,
    group: `rootless:x:${user}:\n`,
    subuid: `rootless:${firstSubordinate}:65536\n`,
    subgid: `rootless:${firstSubordinate}:65536\n`,
  };
  const mounts: string[] = [];
  for (const [name, line] of Object.entries(lines)) {
    const before = name.startsWith('sub') ? '' : await readFile(`/etc/${name}`, 'utf8');
    await writeFile(join(folder, name), `${before}${line}`, { mode: 0o644 });
    mounts.push(`mount --bind ${join(folder, name)} /etc/${name}`);
  }
  const script = [...mounts, 'echo ready', 'exec sleep infinity'].join(' && ');
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [first] = (await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])) as [unknown];
  if (holder.exitCode !== null || String(first) !== 'ready\n')
    throw new Error('No mount namespace could be made: are you root?');
  return holder;
}

interface DaemonPlaces {
  readonly home: string;
  readonly socket: string;
  readonly log: string;
}

function startDaemon(enter: readonly string[], { home, socket, log }: DaemonPlaces): ChildProcess {
  const as = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  // dockerd would ask RootlessKit about a network, which containers here do without, and crash at the answer.
  const begin =
    'unset ROOTLESSKIT_STATE_DIR; rm -rf /run/docker /run/containerd /run/xtables.lock; exec "$@"';
  const kit = ['rootlesskit', '--net=host', '--copy-up=/run', 'sh', '-c', begin, 'sh'];
  const places = ['--data-root', join(home, 'data'), '--exec-root', join(home, 'exec')];
  const files = ['--pidfile', join(home, 'pid'), '-H', `unix://${socket}`];
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false'];
  // Others need a device or a kernel that not every machine has.
  const dockerd = ['dockerd', '--rootless', '--storage-driver=vfs', ...places, ...files, ...network];
  const output = openSync(log, 'a');
  try {
    return spawn('nsenter', [...enter, ...as, ...kit, ...dockerd], {
      cwd: home,
      env: {
        ...process.env,
        HOME: home,
        XDG_RUNTIME_DIR: home,
        PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
      },
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}
