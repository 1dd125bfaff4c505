/**
 * A Docker Engine of the test's own: nothing is shared with an engine of the machine, and nothing is pulled.
 *
 *   let engine: PrivateEngine;
 *   beforeAll(async () => {
 *     engine = await startPrivateEngine();
 *     await engine.importBusybox();                        // the image "busybox", all applets in /bin
 *   });
 *   afterAll(() => engine?.[Symbol.asyncDispose]());       // or: await using engine = await startPrivateEngine()
 *
 *   await engine.docker(['run', '-d', '--name', 'web', '-v', 'pg:/data', 'busybox', 'sleep', '1000']);
 *   openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
 *
 * Starting takes about two seconds: share one engine in a test file, and give volumes names of their own.
 * Needs root. The engine and its containers are in a network namespace of their own: the machine's rules do not reach
 * them, its bridges, rules and forwarding stay as they are, and what a container publishes is on that namespace's
 * loopback only (`engine.inNetwork(['curl', …])`).
 * Everything is gone after the disposal, containers, networks, mounts and control groups included. A volume's directory is `engine.volumePath(name)`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const readyMs = 180_000;
/** More than the fifteen seconds that dockerd itself gives to its containers: a test that stops it politely wants no crash. */
const stopMs = 60_000;

export interface PrivateEngineOptions {
  /** More arguments for dockerd: `['-H', 'tcp://127.0.0.1:2376', '--tlsverify', …]`. */
  readonly args?: readonly string[];
  /** Control groups of version 2 alone, in a mount namespace of its own, whatever the machine has. */
  readonly hasUnifiedGroups?: boolean;
  /** The machine's own network: for an engine that listens on it, or mounts what a server there exports. */
  readonly usesMachineNetwork?: boolean;
  /** Looks for plugins in `pluginFolder` and not in the machine's, where every engine would see them; has shared mounts, too. */
  readonly hasPluginFolder?: boolean;
  /** Sees its folder's `srv` as `/srv`, and has its data there, in a mount namespace of its own. */
  readonly hasOwnSrv?: boolean;
  /** Root of its containers, and all their users, have other numbers on the machine: these upwards. */
  readonly firstUser?: number;
  /** What is mounted in the engine's folder spreads to all that see it, as systemd has it for all of a machine. */
  readonly hasSharedMounts?: boolean;
}

export interface PrivateEngine extends AsyncDisposable {
  readonly socket: string;
  /** The socket as a value of DOCKER_HOST. */
  readonly dockerHost: string;
  /** A folder for the test's own things, on the same disk; gone after the disposal. */
  readonly folder: string;
  readonly dataRoot: string;
  /** Where an engine that `hasPluginFolder` finds the sockets of plugins. */
  readonly pluginFolder: string;
  /** The control group that its containers are in: no other engine's has this name. */
  readonly cgroup: string;
  /** The process number of dockerd. */
  readonly pid: number;
  volumePath(name: string): string;
  /** Runs Docker's command against this engine, and gives its output without the last newline. */
  docker(args: readonly string[]): Promise<string>;
  /** The environment for a command that is to use this engine and nothing else of the user's. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a program of the machine in the engine's network, and gives its output. */
  inNetwork(command: readonly [string, ...string[]]): Promise<string>;
  /** Makes the image "busybox" from the machine's static busybox. */
  importBusybox(): Promise<void>;
  /** Ends dockerd at once, as a crash does. Containers die with it. */
  kill(): Promise<void>;
  /** Ends dockerd by a signal and starts it again with the same data. What ran and has no restart policy has ended then. */
  restart(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export async function startPrivateEngine(options: PrivateEngineOptions = {}): Promise<PrivateEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  const network = options.usesMachineNetwork === true ? undefined : await makeNetwork();
  const hasPluginFolder = options.hasPluginFolder === true;
  if (options.hasSharedMounts === true || hasPluginFolder) {
    await run('mount', ['--bind', folder, folder]);
    await run('mount', ['--make-shared', folder]);
  }
  const paths = {
    folder,
    socket: join(folder, 'docker.sock'),
    dataRoot: join(folder, options.hasOwnSrv === true ? 'srv/docker' : 'data'),
    hasOwnSrv: options.hasOwnSrv === true,
    execRoot: join(folder, 'exec'),
    log: join(folder, 'dockerd.log'),
    cgroup: `holdfast-test-${process.pid}-${folder.slice(-6)}`,
    hasUnifiedGroups: options.hasUnifiedGroups === true,
    pluginFolder: join(folder, 'plugins'),
    hasPluginFolder,
    firstUser: options.firstUser,
    network,
  };
  await mkdir(paths.pluginFolder);
  if (paths.hasOwnSrv) await mkdir(join(folder, 'srv'));
  const args = [...(options.args ?? [])];
  if (options.firstUser !== undefined) {
    args.push(`--userns-remap=${mappedUser}`);
    await writeFile(join(folder, 'subid'), `${mappedUser}:${options.firstUser}:65536\n`);
    // Its containers' root has to get to what is theirs.
    await letThrough(folder);
  }
  // Without a file of our own, the machine's would be read.
  await writeFile(join(folder, 'daemon.json'), '{}');
  const daemon = startDaemon(paths, args);
  const engine = createEngine(paths, { daemon, args });
  try {
    await untilReady(paths, daemon);
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

interface EnginePaths {
  readonly folder: string;
  readonly socket: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly log: string;
  readonly cgroup: string;
  readonly hasUnifiedGroups: boolean;
  readonly hasOwnSrv: boolean;
  readonly firstUser: number | undefined;
  readonly pluginFolder: string;
  readonly hasPluginFolder: boolean;
  /** Holds the network namespace, also while dockerd is down; undefined: that of the machine. */
  readonly network: ChildProcess | undefined;
}

/** Starts a process that does nothing but hold a network namespace of its own, in which the loopback is up. */
async function makeNetwork(): Promise<ChildProcess> {
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
  await once(holder, 'spawn');
  const ours = await readlink('/proc/self/ns/net');
  const deadline = Date.now() + readyMs;
  while ((await readlink(`/proc/${holder.pid}/ns/net`)) === ours) {
    if (holder.exitCode !== null || Date.now() > deadline) {
      holder.kill('SIGKILL');
      throw new Error('No network namespace could be made: are you root?');
    }
    await sleep(5);
  }
  await run('nsenter', [...enterNetwork(holder), 'ip', 'link', 'set', 'lo', 'up']);
  return holder;
}

function enterNetwork(holder: ChildProcess): string[] {
  return [`--net=/proc/${holder.pid}/ns/net`, '--'];
}

/** `exec`, so that dockerd has the number of the process that is started. */
const withUnifiedGroups = [
  ...['unshare', '--mount', '--propagation', 'slave', 'sh', '-c'],
  'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"',
  'sh',
];

/** Mounts in the engine's folder go on to the machine and come from it; the one over the machine's folder of plugins does not. */
const bindPlugins =
  'mkdir -p /run/docker/plugins && mount --make-private "$(findmnt -n -o TARGET -T /run/docker/plugins)" && mount --bind "$0" /run/docker/plugins && exec "$@"';

function withPlugins(folder: string): string[] {
  return ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', bindPlugins, folder];
}

function withSrv(folder: string): string[] {
  const script = 'mount --bind "$0" /srv && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, folder];
}

/** The user whose ranges of numbers the engine looks up, in files of its own. */
const mappedUser = 'daemon';

function withUsers(folder: string): string[] {
  const script = 'for file in subuid subgid; do mount --bind "$0" /etc/$file || exit; done && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, join(folder, 'subid')];
}

export async function letThrough(folder: string): Promise<void> {
  for (let at = folder; at !== '/'; at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) === 0) await chmod(at, (mode & 0o7777) | 0o011);
  }
}

function startDaemon(paths: EnginePaths, args: readonly string[]): ChildProcess {
  const log = openSync(paths.log, 'a');
  try {
    const [program, ...before] = [
      ...(paths.network === undefined ? [] : ['nsenter', ...enterNetwork(paths.network)]),
      ...(paths.hasUnifiedGroups ? withUnifiedGroups : []),
      ...(paths.hasPluginFolder ? withPlugins(paths.pluginFolder) : []),
      ...(paths.firstUser === undefined ? [] : withUsers(paths.folder)),
      ...(paths.hasOwnSrv ? withSrv(join(paths.folder, 'srv')) : []),
      'dockerd',
    ];
    return spawn(
      program,
      [
        ...before,
        ...[
          '--data-root',
          paths.hasOwnSrv ? '/srv/docker' : paths.dataRoot,
          '--exec-root',
          paths.execRoot,
          '--pidfile',
          join(paths.folder, 'dockerd.pid'),
        ],
        ...[
          '-H',
          `unix://${paths.socket}`,
          '--cgroup-parent',
          `/${paths.cgroup}`,
          '--config-file',
          join(paths.folder, 'daemon.json'),
        ],
        ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
        // Ports that a test publishes are for this namespace only.
        '--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=127.0.0.1',
        ...args,
      ],
      { stdio: ['ignore', log, log] },
    );
  } finally {
    closeSync(log);
  }
}

function createEngine(
  paths: EnginePaths,
  state: { daemon: ChildProcess; readonly args: readonly string[] },
): PrivateEngine {
  const dockerHost = `unix://${paths.socket}`;
  const env = {
    PATH: process.env['PATH'],
    HOME: paths.folder,
    DOCKER_CONFIG: join(paths.folder, 'client'),
    DOCKER_HOST: dockerHost,
  };
  const docker = async (args: readonly string[]): Promise<string> => {
    const { stdout } = await run('docker', [...args], { env, maxBuffer: 64 << 20 });
    return stdout.replace(/\n$/, '');
  };
  return {
    ...paths,
    dockerHost,
    docker,
    env,
    get pid() {
      return state.daemon.pid ?? 0;
    },
    volumePath: (name) =>
      join(
        paths.dataRoot,
        ...(paths.firstUser === undefined ? [] : [`${paths.firstUser}.${paths.firstUser}`]),
        'volumes',
        name,
        '_data',
      ),
    async inNetwork([program, ...args]) {
      const inside = paths.network === undefined ? [] : ['nsenter', ...enterNetwork(paths.network)];
      const [first = program, ...rest] = [...inside, program, ...args];
      return (await run(first, rest)).stdout;
    },
    importBusybox: () => importBusybox(paths.folder, docker),
    kill: () => endDaemon(state.daemon, 'SIGKILL'),
    async restart(signal = 'SIGTERM') {
      await endDaemon(state.daemon, signal);
      state.daemon = startDaemon(paths, state.args);
      await untilReady(paths, state.daemon);
    },
    async [Symbol.asyncDispose]() {
      if (state.daemon.exitCode === null && state.daemon.signalCode === null) {
        const ids = (await docker(['ps', '-aq', '--no-trunc']).catch(() => '')).split('\n').filter(Boolean);
        if (ids.length > 0) await docker(['rm', '-f', ...ids]).catch(() => undefined);
        await removeNetworks(docker).catch(() => undefined);
      }
      await endDaemon(state.daemon, 'SIGTERM');
      await endLeftovers(paths);
      if (paths.network === undefined) await removeInterfaces(paths.dataRoot);
      else await endDaemon(paths.network, 'SIGKILL');
      await rm(paths.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/** Networks are interfaces of the machine, and would stay. */
async function removeNetworks(docker: (args: readonly string[]) => Promise<string>): Promise<void> {
  if ((await docker(['info', '-f', '{{.Swarm.LocalNodeState}}'])) === 'active')
    await docker(['swarm', 'leave', '--force']);
  const ids = (await docker(['network', 'ls', '-q', '-f', 'type=custom'])).split('\n').filter(Boolean);
  if (ids.length > 0) await docker(['network', 'rm', ...ids]);
}

/** What a killed engine knew of networks is in its files. */
async function removeInterfaces(dataRoot: string): Promise<void> {
  const known = await readFile(join(dataRoot, 'network/files/local-kv.db'), 'latin1').catch(() => '');
  const interfaces = (await run('ip', ['-o', 'link', 'show', 'type', 'bridge']).catch(() => ({ stdout: '' })))
    .stdout;
  for (const [, name = '', id = ''] of interfaces.matchAll(/^\d+: (br-([0-9a-f]{12}))[:@]/gm))
    if (known.includes(id)) await run('ip', ['link', 'delete', name]).catch(() => undefined);
}

/** Makes the image "busybox" in an engine; `folder` is for what is needed meanwhile. */
export async function importBusybox(
  folder: string,
  docker: (args: readonly string[]) => Promise<string>,
): Promise<void> {
  const root = join(folder, 'busybox');
  await mkdir(join(root, 'bin'), { recursive: true });
  await mkdir(join(root, 'tmp'));
  await run('cp', ['/bin/busybox', join(root, 'bin/busybox')]);
  const { stdout } = await run('/bin/busybox', ['--list']);
  const applets = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  await Promise.all(applets.map((name) => symlink('busybox', join(root, 'bin', name))));
  const archive = join(folder, 'busybox.tar');
  await run('tar', ['-C', root, '-cf', archive, '.']);
  await docker(['import', archive, 'busybox']);
  await rm(root, { recursive: true });
  await rm(archive);
}

async function untilReady(paths: EnginePaths, daemon: ChildProcess): Promise<void> {
  const deadline = Date.now() + readyMs;
  while (Date.now() < deadline) {
    if (daemon.exitCode !== null) break;
    if (existsSync(paths.socket) && (await isAnswering(paths.socket))) return;
    await sleep(50);
  }
  const log = await readFile(paths.log, 'utf8').catch(() => '');
  throw new Error(`dockerd did not start:\n${log.slice(-3000)}`);
}

export function isAnswering(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('error', () => resolve(false));
    ping.end();
  });
}

export async function endDaemon(daemon: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null || daemon.pid === undefined) return;
  const ended = once(daemon, 'exit');
  daemon.kill(signal);
  const timer = setTimeout(() => daemon.kill('SIGKILL'), stopMs);
  await ended;
  clearTimeout(timer);
}

/** What a killed engine leaves: shims and containers in our control groups, mounts, and the groups themselves. */
async function endLeftovers(paths: EnginePaths): Promise<void> {
  const groups = cgroupFolders(paths.cgroup);
  for (const group of groups) killGroup(group);
  killByArgument(paths.execRoot);
  for (let attempt = 0; attempt < 20 && groups.some((group) => !removeGroup(group)); attempt += 1)
    await sleep(100);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path === paths.folder || path.startsWith(`${paths.folder}/`))
    .toReversed();
  for (const path of mounts) await run('umount', ['-l', path]).catch(() => undefined);
}

function cgroupFolders(name: string): string[] {
  const base = '/sys/fs/cgroup';
  const hierarchies = existsSync(join(base, 'cgroup.controllers'))
    ? [base]
    : readdirSync(base).map((hierarchy) => join(base, hierarchy));
  return hierarchies.map((hierarchy) => join(hierarchy, name)).filter((path) => existsSync(path));
}

function killGroup(group: string): void {
  for (const folder of [group, ...foldersIn(group)]) {
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
      kill(Number(pid));
  }
}

/** containerd and its shims carry the engine's own exec root in their arguments. */
function killByArgument(argument: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (/^(?:\S*\/)?containerd/.test(commandLine) && commandLine.includes(argument)) kill(Number(pid));
    } catch {
      // It ended in the meantime.
    }
  }
}

function removeGroup(group: string): boolean {
  try {
    for (const folder of foldersIn(group)) rmdirSync(folder);
    rmdirSync(group);
    return true;
  } catch {
    return !existsSync(group);
  }
}

function foldersIn(group: string): string[] {
  return readdirSync(group, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(group, entry.name));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}
