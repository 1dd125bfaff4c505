/** A group of tests with the same requirements on the machine. */
export interface Lane {
  readonly name: string;
  /** The folder of its tests, from the root of the checkout. */
  readonly directory: string;
  readonly include: readonly string[];
  /** Debian packages whose programs the lane requires. */
  readonly packages: readonly string[];
  /** Tests with further requirements: they are left out where these packages' programs are missing. */
  readonly demanding?: { readonly files: string; readonly packages: readonly string[] };
  readonly timeoutMs: number;
  /**
   * How often a failed test is retried. Only where an engine may be slow; never for a randomly chosen fault.
   */
  readonly retries?: number;
  /** A worker goes on with its next file as it is: so modules are loaded once, not for each file. */
  readonly sharesWorkers?: boolean;
}

const laneTimeoutMs = 300_000;
const treePackages = ['attr', 'acl', 'zstd'];

/**
 * All lanes. Their files run in parallel: each has its own folders, ports, engines, control groups and loop
 * devices.
 */
export const lanes: readonly Lane[] = [
  {
    name: 'unit',
    directory: 'src',
    include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'scripts/**/*.test.ts', 'test/setup/**/*.test.ts'],
    packages: [],
    demanding: { files: 'src/**/*-programs.test.ts', packages: [...treePackages, 'busybox-static'] },
    timeoutMs: 180_000,
    sharesWorkers: true,
  },
  lane('cli', [...treePackages, 'fio']),
  lane('stores', [
    ...treePackages,
    'restic',
    'python3-flask-cors',
    'python3-moto',
    'openssh-client',
    'openssh-server',
    'restic-rest-server',
    'rclone',
  ]),
  lane('interop', [...treePackages, 'restic', 'borgbackup']),
  lane('faults', [...treePackages, 'restic']),
  lane('sandbox', ['bubblewrap']),
  lane('monitoring', [...treePackages, 'prometheus']),
  engineLane('podman', ['podman', 'runc', 'busybox-static']),
  lane('filesystems', [...treePackages, 'xfsprogs', 'btrfs-progs', 'gocryptfs', 'cryptsetup-bin']),
  lane('kernel', [
    'user-mode-linux',
    'gcc',
    'libc6-dev',
    'kmod',
    'cryptsetup-bin',
    'dmsetup',
    'nfs-kernel-server',
    'rpcbind',
    'samba',
    'cifs-utils',
    'docker.io',
    'docker-cli',
    'busybox-static',
    'systemd',
    'apparmor',
    'quota',
    'secilc',
    'xfsprogs',
  ]),
  engineLane('engine', [
    ...treePackages,
    'docker.io',
    'docker-cli',
    'docker-compose',
    'busybox-static',
    'xfsprogs',
    'btrfs-progs',
    'systemd',
    'cron',
    'rootlesskit',
    'uidmap',
  ]),
  {
    ...lane('attacks', [
      ...treePackages,
      'gcc',
      'libc6-dev',
      'docker.io',
      'docker-cli',
      'docker-compose',
      'busybox-static',
    ]),
    timeoutMs: 300_000,
  },
  engineLane('stacks', [
    ...treePackages,
    'docker.io',
    'docker-cli',
    'docker-compose',
    'busybox-static',
    'mmdebstrap',
  ]),
];

function engineLane(name: string, packages: readonly string[]): Lane {
  return { ...lane(name, packages), retries: 1 };
}

function lane(name: string, packages: readonly string[]): Lane {
  const directory = `test/${name}`;
  return {
    name,
    directory,
    include: [`${directory}/**/*.test.ts`],
    packages,
    timeoutMs: laneTimeoutMs,
  };
}
