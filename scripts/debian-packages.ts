import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runCommand } from './run-command.ts';

/**
 * The program, or a file where there is none, that shows that a package, or the same from elsewhere, is
 * installed.
 */
const programs: Readonly<Record<string, string>> = {
  acl: 'setfacl',
  apparmor: 'apparmor_parser',
  attr: 'setfattr',
  borgbackup: 'borg',
  'btrfs-progs': 'mkfs.btrfs',
  bubblewrap: 'bwrap',
  'cifs-utils': 'mount.cifs',
  'busybox-static': 'busybox',
  dmsetup: 'dmsetup',
  'docker-cli': 'docker',
  'docker-compose': 'docker-compose',
  'docker.io': 'dockerd',
  'cryptsetup-bin': 'cryptsetup',
  gocryptfs: 'gocryptfs',
  kmod: 'modprobe',
  // Stands for the headers, which it comes with.
  'libc6-dev': 'gencat',
  'nfs-kernel-server': 'rpc.nfsd',
  'openssh-client': 'ssh',
  'openssh-server': 'sshd',
  // moto's server needs it, but its package does not depend on it.
  'python3-flask-cors': '/usr/lib/python3/dist-packages/flask_cors/__init__.py',
  'python3-moto': 'moto_server',
  quota: 'setquota',
  restic: 'restic',
  samba: 'smbd',
  secilc: 'secilc',
  systemd: 'systemd-socket-activate',
  uidmap: 'newuidmap',
  'user-mode-linux': 'linux.uml',
  xfsprogs: 'mkfs.xfs',
  zstd: 'zstd',
};

/** The listed packages whose programs this machine lacks. */
export function missingPackages(packages: Iterable<string>): string[] {
  return [...new Set(packages)].filter((name) => !isThere(name)).sort();
}

/** Installs packages with apt-get. Returns undefined on success, otherwise the error. */
export async function installPackages(packages: readonly string[]): Promise<string | undefined> {
  // RUNLEVEL=1: Debian's packages then start no services; the tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const wait = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  const update = await runCommand('apt-get', [...wait, 'update', '-q'], { env });
  const install = await runCommand(
    'apt-get',
    [...wait, 'install', '-y', '-q', '--no-install-recommends', ...packages],
    { env },
  );
  if (install.exitCode === 0) return undefined;
  const output = update.exitCode === 0 ? install.output : `${update.output}${install.output}`;
  return output.trim().split('\n').slice(-12).join('\n');
}

function isThere(name: string): boolean {
  const program = programs[name] ?? name;
  if (program.startsWith('/')) return existsSync(program);
  const path = findProgram(program);
  if (path === undefined) return false;
  return name === 'busybox-static' ? isStatic(path) : true;
}

/** The path of a program, also searched in root's PATH and in Docker's plugin folders. */
export function findProgram(name: string): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
    '/usr/libexec/docker/cli-plugins',
    '/usr/lib/docker/cli-plugins',
  ];
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Only a program without a dynamic loader in its headers runs in an empty image. */
function isStatic(path: string): boolean {
  return !readFileSync(path).subarray(0, 4096).includes('/ld-');
}
