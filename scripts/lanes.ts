/** A group of tests that needs the same things of the machine. */
export interface Lane {
  readonly name: string;
  /** Where its tests are, from the root of the checkout. */
  readonly directory: string;
  readonly include: readonly string[];
  /** Debian packages whose programs the tests run. */
  readonly packages: readonly string[];
  readonly timeoutMs: number;
  /** False for lanes whose tests own the machine's resources (an engine, loop devices): one file at a time. */
  readonly parallel: boolean;
}

const laneTimeoutMs = 180_000;
const always = ['attr', 'acl', 'zstd'];

/** All lanes, in the order in which they run: the quick ones first. */
export const lanes: readonly Lane[] = [
  {
    name: 'unit',
    directory: 'src',
    include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/setup/**/*.test.ts'],
    packages: always,
    timeoutMs: 20_000,
    parallel: true,
  },
  lane('cli', always),
  lane('interop', [...always, 'restic', 'borgbackup']),
  lane('filesystems', [...always, 'xfsprogs', 'btrfs-progs']),
  lane('engine', [...always, 'docker.io', 'docker-cli', 'docker-compose', 'busybox-static']),
];

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
