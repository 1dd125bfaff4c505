/** A group of tests that needs the same things of the machine. */
export interface Lane {
  readonly name: string;
  /** Where its tests are, from the root of the checkout. */
  readonly directory: string;
  readonly include: readonly string[];
  /** Debian packages without whose programs the lane can't run. */
  readonly packages: readonly string[];
  /** Tests that need more than the rest of the lane: they are left out where these packages' programs are missing. */
  readonly demanding?: { readonly files: string; readonly packages: readonly string[] };
  readonly timeoutMs: number;
  /** How often a failed test is tried again. Only where an engine of others may be late; never a fault that was drawn by chance. */
  readonly retries?: number;
  /** False for lanes whose tests own the machine's resources (an engine, loop devices): one file at a time. */
  readonly parallel: boolean;
}

const laneTimeoutMs = 180_000;
const treePackages = ['attr', 'acl', 'zstd'];

/** All lanes, in the order in which they run: the quick ones first. */
export const lanes: readonly Lane[] = [
  {
    name: 'unit',
    directory: 'src',
    include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/setup/**/*.test.ts'],
    packages: [],
    demanding: { files: 'src/**/*-programs.test.ts', packages: [...treePackages, 'busybox-static'] },
    timeoutMs: 20_000,
    parallel: true,
  },
  parallelLane('cli', treePackages),
  parallelLane('stores', [
    ...treePackages,
    'restic',
    'python3-flask-cors',
    'python3-moto',
    'openssh-client',
    'openssh-server',
    'restic-rest-server',
    'rclone',
  ]),
  parallelLane('interop', [...treePackages, 'restic', 'borgbackup']),
  parallelLane('faults', [...treePackages, 'restic']),
  lane('sandbox', ['bubblewrap']),
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
  ]),
  {
    ...lane('attacks', [...treePackages, 'gcc', 'libc6-dev', 'docker.io', 'docker-cli', 'busybox-static']),
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

/** A lane whose tests keep to folders, ports and processes of their own. */
function parallelLane(name: string, packages: readonly string[]): Lane {
  return { ...lane(name, packages), parallel: true };
}

function lane(name: string, packages: readonly string[]): Lane {
  const directory = `test/${name}`;
  return {
    name,
    directory,
    include: [`${directory}/**/*.test.ts`],
    packages,
    timeoutMs: laneTimeoutMs,
    parallel: false,
  };
}
