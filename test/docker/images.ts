/**
 * Images of real databases and servers for a private engine. One root file system is made of Debian's packages, once per
 * checkout, and holds all of them; the images differ in what they start. They behave like the official ones of the same
 * names as far as tests need it: entry points, environment, volumes, users.
 *
 *   await engine.importBusybox();
 *   await importImages(engine);        // postgres:15, postgres:17, redis:7-alpine, redis:8, nginx:alpine, mariadb:11, mon-webapp:latest …
 *
 * The root takes a minute or more to make (`npm test` begins with it, beside the first tests), every other call about five seconds.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tryLockFile } from '../../src/lib/file-lock.ts';
import { mountsBelow, unmountAll } from '../setup/leftovers.ts';
import type { PrivateEngine } from './private-engine.ts';

const run = promisify(execFile);

const packages = ['postgresql', 'redis-server', 'nginx-light', 'mariadb-server', 'busybox-static'];

/** Large, and used by nothing here: PostgreSQL does without its compiler when that is missing. */
const leftOut = [
  ...['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'],
  ...['/usr/lib/*/libLLVM*', '/usr/lib/llvm*', '/usr/lib/postgresql/*/lib/llvmjit*'],
  ...['/usr/lib/postgresql/*/lib/bitcode/*'],
];

interface ImageRecipe {
  readonly tags: readonly string[];
  /** Files of `images/`, by their place in the image. */
  readonly files: Readonly<Record<string, string>>;
  readonly changes: readonly string[];
}

const entrypoint = '/usr/local/bin/docker-entrypoint.sh';
const health = '--interval=1s --timeout=5s --retries=10 --start-period=60s --start-interval=500ms';

const recipes: readonly ImageRecipe[] = [
  {
    tags: ['postgres:17', 'postgres:16', 'postgres:15', 'postgres:latest'],
    files: { [entrypoint]: 'postgres-entrypoint.sh' },
    changes: [
      'ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'ENV PGDATA=/var/lib/postgresql/data',
      'ENV LANG=C.UTF-8',
      'ENV PG_MAJOR=17',
      'VOLUME ["/var/lib/postgresql/data"]',
      'STOPSIGNAL SIGINT',
      'EXPOSE 5432',
      `ENTRYPOINT ["${entrypoint}"]`,
      'CMD ["postgres"]',
      `HEALTHCHECK ${health} CMD pg_isready -q -h 127.0.0.1`,
    ],
  },
  {
    // The server is that of 17: what matters is where the image of 18 keeps its data.
    tags: ['postgres:18'],
    files: { [entrypoint]: 'postgres-entrypoint.sh' },
    changes: [
      'ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'ENV PGDATA=/var/lib/postgresql/18/docker',
      'ENV LANG=C.UTF-8',
      'ENV PG_MAJOR=18',
      'VOLUME ["/var/lib/postgresql"]',
      'STOPSIGNAL SIGINT',
      `ENTRYPOINT ["${entrypoint}"]`,
      'CMD ["postgres"]',
      `HEALTHCHECK ${health} CMD pg_isready -q -h 127.0.0.1`,
    ],
  },
  {
    tags: ['redis:8', 'redis:7-alpine', 'redis:latest'],
    files: { [entrypoint]: 'redis-entrypoint.sh' },
    changes: [
      'VOLUME ["/data"]',
      'WORKDIR /data',
      'EXPOSE 6379',
      `ENTRYPOINT ["${entrypoint}"]`,
      'CMD ["redis-server"]',
      `HEALTHCHECK ${health} CMD redis-cli ping`,
    ],
  },
  {
    tags: ['nginx:latest', 'nginx:alpine'],
    files: {},
    changes: ['STOPSIGNAL SIGQUIT', 'EXPOSE 80', 'CMD ["nginx", "-g", "daemon off;"]'],
  },
  {
    tags: ['mariadb:11', 'mariadb:latest'],
    files: { [entrypoint]: 'mariadb-entrypoint.sh' },
    changes: [
      'VOLUME ["/var/lib/mysql"]',
      'EXPOSE 3306',
      `ENTRYPOINT ["${entrypoint}"]`,
      'CMD ["mariadbd"]',
      `HEALTHCHECK ${health} CMD mariadb-admin ping --silent -h 127.0.0.1`,
    ],
  },
  {
    tags: ['mon-webapp:latest'],
    files: { '/srv/www/cgi-bin/order': 'webapp-order.sh' },
    changes: ['EXPOSE 8080', 'CMD ["busybox", "httpd", "-f", "-p", "8080", "-h", "/srv/www"]'],
  },
];

/** Imports the images into an engine. Nothing is pulled. */
export async function importImages(engine: PrivateEngine): Promise<void> {
  const archive = await rootArchive();
  await engine.docker(['import', archive, 'holdfast-test-base']);
  for (const { tags, files, changes } of recipes) {
    const id = await engine.docker(['create', 'holdfast-test-base', 'true']);
    for (const [place, name] of Object.entries(files))
      await engine.docker(['cp', join(import.meta.dirname, 'images', name), `${id}:${place}`]);
    const [first = '', ...others] = tags;
    await engine.docker(['commit', ...changes.flatMap((change) => ['-c', change]), id, first]);
    for (const tag of others) await engine.docker(['tag', first, tag]);
    await engine.docker(['rm', id]);
  }
}

const cacheFolder = join(import.meta.dirname, '../../node_modules/.cache/holdfast-images');

/** Makes the archive of the root file system, or finds the one that an earlier run has made; waits for one that makes it. */
export async function rootArchive(signal?: AbortSignal): Promise<string> {
  const suite = await suiteOfMachine();
  const recipe = JSON.stringify({ suite, packages, leftOut, customize, version: 4 });
  const name = `${createHash('sha256').update(recipe).digest('hex').slice(0, 16)}.tar`;
  const archive = join(cacheFolder, name);
  await mkdir(cacheFolder, { recursive: true });
  if (existsSync(archive)) return archive;
  await using _lock = await waitForLock(join(cacheFolder, 'lock'));
  if (existsSync(archive)) return archive;
  for (const stale of await readdir(cacheFolder)) {
    if (stale === 'lock') continue;
    unmountAll(mountsBelow(join(cacheFolder, stale)));
    await rm(join(cacheFolder, stale), { recursive: true });
  }
  const unfinished = join(cacheFolder, `${name}.unfinished`);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await makeArchive({ suite, target: unfinished, signal });
      break;
    } catch (error) {
      // A mirror of Debian may not answer for a moment, and a program that looks at all mounts keeps one from being unmounted.
      if (attempt === 3 || signal?.aborted === true) throw error;
      await sleep(5000);
    }
  }
  await rename(unfinished, archive);
  return archive;
}

/** `$1` is the root. Folders that the official images have. */
const customize = [
  'mkdir -p "$1/var/lib/postgresql/data" "$1/docker-entrypoint-initdb.d" "$1/data" "$1/srv/www/cgi-bin"',
  'mkdir -p "$1/app/uploads" "$1/app/config" "$1/app/cache" "$1/run/postgresql" "$1/run/mysqld"',
  'mkdir -p "$1/usr/share/nginx/html" "$1/usr/local/etc/redis"',
  'chroot "$1" chown postgres: /var/lib/postgresql/data /run/postgresql && chmod 2777 "$1/run/postgresql"',
  'chroot "$1" chown mysql: /run/mysqld /var/lib/mysql && chmod 0777 "$1/run/mysqld"',
  'chroot "$1" chown redis: /data',
  'rm -rf "$1/var/lib/mysql/"* "$1/var/lib/postgresql/17" "$1/etc/postgresql/17"',
];

async function makeArchive({
  suite,
  target,
  signal,
}: {
  readonly suite: string;
  readonly target: string;
  readonly signal: AbortSignal | undefined;
}): Promise<void> {
  const options = [
    ...[
      '--mode=root',
      '--variant=essential',
      '--format=tar',
      '--skip=cleanup/run',
      `--include=${packages.join(',')}`,
    ],
    ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
    // A root that a power cut destroys is made again.
    '--dpkgopt=force-unsafe-io',
    '--aptopt=APT::Install-Recommends "false"',
    ...(await aptSettings()).map((setting) => `--aptopt=${setting}`),
    ...customize.map((line) => `--customize-hook=${line}`),
  ];
  const sources = await sourcesOfMachine();
  const folder = `${target}.root`;
  await mkdir(folder);
  try {
    await run('mmdebstrap', [...options, suite, target, ...sources], {
      signal,
      maxBuffer: 64 << 20,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', TMPDIR: folder },
    });
  } finally {
    unmountAll(mountsBelow(folder));
    await rm(folder, { recursive: true });
  }
}

async function suiteOfMachine(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8');
  return /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? 'trixie';
}

/** The machine's own sources of Debian, however it reaches them. Folders of its own are no part of Debian. */
async function sourcesOfMachine(): Promise<string[]> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const files = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))];
  const found: string[] = [];
  for (const file of files.filter((name) => /\.(list|sources)$/.test(name))) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (/^(?:URIs:\s*|deb\s.*)https?:/m.test(text)) found.push(file);
  }
  return found;
}

/** How the machine's own apt fetches. */
async function aptSettings(): Promise<string[]> {
  const { stdout } = await run('apt-config', ['dump', '--format', '%f "%v";%n', 'Acquire']);
  return stdout.split('\n').filter((line) => /^Acquire::(?:Check-|http|https|Retries)[\w:-]* "./.test(line));
}

async function waitForLock(path: string): Promise<AsyncDisposable> {
  for (;;) {
    const lock = await tryLockFile(path, { owner: String(process.pid) });
    if (!('heldBy' in lock)) return lock;
    await sleep(500);
  }
}
