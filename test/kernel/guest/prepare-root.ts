import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const kernelModules = '/usr/lib/uml/modules';
const root = '/mnt/root';

/**
 * For the first program of a guest. Its root is the host's, read-only, with an overlay in memory. /disk
 * survives from one start to the next, /exchange is a folder of the host.
 */
export function prepareRoot(exchange: string): void {
  makeRoot();
  enterRoot();
  mountAll(exchange);
}

function makeRoot(): void {
  process.env['PATH'] = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
  mustRun('mount', ['-t', 'proc', 'proc', '/proc']);
  mustRun('mount', ['-t', 'tmpfs', 'tmpfs', '/mnt']);
  for (const name of ['upper', 'work', 'root']) mkdirSync(join('/mnt', name));
  const modules = join(kernelModules, readdirSync(kernelModules)[0] ?? '');
  mustRun('insmod', [join(modules, 'kernel/fs/overlayfs/overlay.ko')]);
  mustRun('mount', ['-t', 'overlay', '-o', 'lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work', 'root', root]);
  mkdirSync(join(root, 'usr/lib/modules'), { recursive: true });
  symlinkSync(modules, join(root, modules.replace(kernelModules, 'usr/lib/modules')));
}

function enterRoot(): void {
  mustRun('pivot_root', [root, join(root, 'mnt')]);
  process.chdir('/');
}

function mountAll(exchange: string): void {
  mkdirSync('/disk');
  mkdirSync('/exchange');
  const mounts = [
    ['proc', '/proc'],
    ['sysfs', '/sys'],
    ['devtmpfs', '/dev'],
    ['cgroup2', '/sys/fs/cgroup'],
    ['tmpfs', '/dev/shm'],
    ['devpts', '/dev/pts'],
    ['tmpfs', '/run'],
  ] as const;
  for (const [type, target] of mounts) {
    mkdirSync(target, { recursive: true });
    mustRun('mount', ['-t', type, type, target]);
  }
  mustRun('mount', ['-t', 'ext4', '/dev/ubda', '/disk']);
  mustRun('mount', ['-t', 'hostfs', '-o', `hostfs=${exchange}`, 'exchange', '/exchange']);
  // On other machines udev does this, which knows that /dev/loop-control needs it.
  mustRun('modprobe', ['loop']);
  mustRun('ip', ['link', 'set', 'lo', 'up']);
  writeFileSync('/proc/sys/kernel/hostname', 'guest');
  mkdirSync('/disk/tmp', { recursive: true, mode: 0o1777 });
}

export function mustRun(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
