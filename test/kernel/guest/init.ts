import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The first program of a guest. The guest's root is the host's, read-only; over it lies one that is written to memory
 * only, and the tests of one stage run there. /disk is what stays from one start to the next.
 *
 * node init.ts NODE EXCHANGE STAGE
 */
// Node.js is named, as it takes itself for linux.uml: what it saw as /proc when it started was the host's.
const [node = '', exchange = '', stage = ''] = process.argv.slice(2);
const checkout = join(import.meta.dirname, '../../..');
const kernelModules = '/usr/lib/uml/modules';
const root = '/mnt/root';

try {
  makeRoot();
  enterRoot();
  mountAll();
  runTests();
} catch (error) {
  console.error(error);
}
// Nothing is unmounted, closed or synced: to what is on the disk, each end of a guest is a power cut.
writeFileSync('/proc/sysrq-trigger', 'o');

function makeRoot(): void {
  process.env['PATH'] = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
  run('mount', ['-t', 'proc', 'proc', '/proc']);
  run('mount', ['-t', 'tmpfs', 'tmpfs', '/mnt']);
  for (const name of ['upper', 'work', 'root']) mkdirSync(join('/mnt', name));
  const modules = join(kernelModules, readdirSync(kernelModules)[0] ?? '');
  run('insmod', [join(modules, 'kernel/fs/overlayfs/overlay.ko')]);
  run('mount', ['-t', 'overlay', '-o', 'lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work', 'root', root]);
  mkdirSync(join(root, 'usr/lib/modules'), { recursive: true });
  symlinkSync(modules, join(root, modules.replace(kernelModules, 'usr/lib/modules')));
}

function enterRoot(): void {
  run('pivot_root', [root, join(root, 'mnt')]);
  process.chdir('/');
}

function mountAll(): void {
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
    run('mount', ['-t', type, type, target]);
  }
  run('mount', ['-t', 'ext4', '/dev/ubda', '/disk']);
  run('mount', ['-t', 'hostfs', '-o', `hostfs=${exchange}`, 'exchange', '/exchange']);
  // Elsewhere this is done by udev, which knows that /dev/loop-control needs it.
  run('modprobe', ['loop']);
  run('ip', ['link', 'set', 'lo', 'up']);
  writeFileSync('/proc/sys/kernel/hostname', 'guest');
  mkdirSync('/disk/tmp', { recursive: true, mode: 0o1777 });
}

function runTests(): void {
  const args = [
    'run',
    '--no-color',
    '--config=test/kernel/guest/vitest.config.ts',
    `test/kernel/guest/${stage}/`,
  ];
  const vitest = [node, join(checkout, 'node_modules/vitest/vitest.mjs'), ...args];
  // It takes away processes that have ended and whose parents are gone: an engine waits for its dead containerd otherwise.
  spawnSync('docker-init', ['-s', '--', ...vitest], {
    cwd: checkout,
    env: {
      PATH: process.env['PATH'],
      HOME: '/root',
      LANG: 'C.UTF-8',
      TMPDIR: '/disk/tmp',
      HOLDFAST_GUEST_REPORT: `/exchange/${stage}.jsonl`,
      // The console is no terminal for lines that move.
      CI: 'true',
    },
    stdio: 'inherit',
  });
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
