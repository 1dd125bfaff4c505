import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { command } from '../support/holdfast-command.ts';
import { Cli } from './cli.ts';

const volumes = 30;
let cli: Cli;
beforeAll(async () => {
  cli = new Cli();
  for (let index = 0; index < volumes; index++)
    writeFileSync(join(await cli.volume(`volume-${index}`), 'rows'), 'x'.repeat(1000 + index));
  await cli.run('df', '--refresh');
});
afterAll(() => cli[Symbol.dispose]());

/** As a daemon leaves the catalog that has just looked, or a while ago. */
function lookedAt(lookedAtMs: number): void {
  using catalog = openSqliteCatalog(join(cli.stateDir, 'catalog.db'));
  const [host] = catalog.usage.listHosts();
  if (host === undefined) throw new Error('No host was looked at');
  const places = catalog.usage
    .listPlaces(host.identity)
    .map((place) => ({ ...place, way: 'watched' as const }));
  catalog.usage.write({ host: { ...host, lookedAtMs }, places, gone: [], samples: [], kept: [] });
}

/** The names of the bundle's files that a command has loaded. */
async function loadedBy(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const folder = join(cli.folder, 'coverage');
  const { exit } = await cli.attempt(args, { env: { ...env, NODE_V8_COVERAGE: folder } });
  expect(exit).toBe(args.includes('none') ? 4 : 0);
  const [report = ''] = readdirSync(folder);
  const { result } = JSON.parse(readFileSync(join(folder, report), 'utf8')) as {
    readonly result: readonly { readonly url: string }[];
  };
  rmSync(folder, { recursive: true });
  return result.flatMap(({ url }) => /\/dist\/([^/]+)$/.exec(url)?.[1] ?? []);
}

const isApp = (file: string): boolean => file.startsWith('app-');

/** What the catalog can tell by itself is told by this alone. */
const alone = ['main.js', 'answer-df.js'];

test('df loads no App while a daemon keeps the sizes, and one where it has to do more', async () => {
  lookedAt(Date.now());
  expect(await loadedBy(['df'])).toEqual(alone);
  expect(
    await loadedBy(['--host=embedded', 'df', 'volume-1', '--format', 'json', '--sort', 'files']),
  ).toEqual(alone);
  expect((await loadedBy(['df', 'none'])).filter(isApp)).not.toEqual([]);
  lookedAt(Date.now() - 3_600_000);
  expect((await loadedBy(['df'])).filter(isApp)).not.toEqual([]);
});

test('the file that df loads instead of an App holds little of it', () => {
  const dist = join(command, '../../dist');
  expect(statSync(join(dist, 'answer-df.js')).size).toBeLessThan(120_000);
});

test.each([
  [['df', '--sort', 'size']],
  [['df', '--format', 'json']],
  [['df', '-q']],
  [['df', 'volume-3', 'volume-20']],
  [['df', '--sort', 'name', '--format', 'json']],
  [['-q', 'df', '--sort', 'name', 'volume-2', '--host=embedded', 'volume-1', '-y']],
  [['df', '-q', '--format', 'json']],
  [['--format', 'json', 'df', '--format', 'table']],
  [['df', '--sort', 'nothing']],
  [['df', '--sort']],
  [['df', '--sort=']],
  [['df', '--sort', '-q']],
  [['df', '--format', 'nothing']],
  [['df', '--format', 'json', '--format', 'json']],
  [['df', '-q', '--quiet']],
  [['df', '--sort', 'name', '--sort', 'size']],
  [['df', '--nothing']],
  [['df', '-q', '--', 'volume-1']],
  [['df', '']],
  [['df', 'toString']],
  [['df', 'df']],
  [['df', '--host', 'nothing']],
  [['df', '--host', 'docker', 'none']],
])('%j is answered alike with and without an App', async (args) => {
  lookedAt(Date.now());
  // An App closes a state folder that is open to others.
  chmodSync(cli.stateDir, 0o740);
  const byApp = await cli.attempt(args);
  // Words that are refused open none.
  expect([2, 0, 1, 4]).toContain(byApp.exit);
  expect(statSync(cli.stateDir).mode & 0o777).toBe(byApp.exit === 2 ? 0o740 : 0o700);
  chmodSync(cli.stateDir, 0o700);
  expect(await cli.attempt(args)).toEqual(byApp);
});

test('df writes all that a slow reader of a busy pipe takes, and tells of a disk that is full', async () => {
  lookedAt(Date.now());
  const whole = await cli.run('df');
  const env = { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' };
  // dd fills the pipe, which refuses more from then on.
  const shell = '{ dd if=/dev/zero bs=4096 oflag=nonblock; "$0" df; } 2>/dev/null | { sleep 2; cat; }';
  const { stdout } = spawnSync('sh', ['-c', shell, command], { env, encoding: 'utf8' });
  expect(stdout.slice(0, 4096)).toBe('\0'.repeat(4096));
  expect(stdout.replace(/^\0+/, '')).toBe(whole);
  const full = openSync('/dev/full', 'w');
  const refused = spawnSync(command, ['df'], { env, stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/^holdfast: Cannot write the output: the disk is full\n/);
  closeSync(full);
});

test.each(['journal', 'undo', 'trials', 'journal-bench', 'journal-apps', 'journal-hooks'])(
  'df leaves it to an App to settle what killed work has left in "%s"',
  async (name) => {
    lookedAt(Date.now());
    const folder = join(cli.stateDir, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'left'), '');
    expect((await loadedBy(['df'])).filter(isApp)).not.toEqual([]);
    rmSync(folder, { recursive: true });
  },
);

test('df leaves it to an App to read which host the configuration names', async () => {
  lookedAt(Date.now());
  const file = join(cli.stateDir, 'holdfast.yaml');
  writeFileSync(file, '{"host": embedded}');
  expect((await loadedBy(['df'], { HOLDFAST_HOST: '' })).filter(isApp)).not.toEqual([]);
  expect(await loadedBy(['df'])).toEqual(alone);
  rmSync(file);
});

test('df says how old the sizes are without a daemon, and takes those of one that runs', async () => {
  lookedAt(Date.now() - 7_200_000);
  const before = await cli.attempt(['df', 'volume-1']);
  expect(before.stderr).toContain('No daemon keeps these sizes');
  const daemon = spawn(command, ['daemon', '--grace', '1s'], {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' },
    stdio: 'ignore',
  });
  try {
    await expect
      .poll(async () => (await cli.attempt(['df', 'volume-1'])).stderr, { timeout: 90_000, interval: 500 })
      .toBe('');
    const shown = JSON.parse(await cli.run('df', 'volume-1', '--format', 'json')) as object;
    expect(shown).toMatchObject({ isCurrent: true, volumes: [{ name: 'volume-1', bytes: 1001, files: 1 }] });
  } finally {
    daemon.kill('SIGTERM');
    await once(daemon, 'close');
  }
});

test('df shows the sizes of the engine that is asked for, and of no other', async () => {
  using own = new Cli();
  await own.volume('own');
  const endpoint = `unix://${join(own.folder, 'docker.sock')}`;
  const host = { identity: 'engine', kind: 'docker', endpoint, lookedAtMs: Date.now() } as const;
  const unknown = { lineage: undefined, stack: undefined, disk: undefined, problem: undefined };
  const disk = { capacityBytes: undefined, freeBytes: undefined, growthBytesPerDay: undefined };
  const size = { bytes: 10, files: 1, measuredAtMs: host.lookedAtMs, way: 'watched' } as const;
  const volume = { kind: 'volume', name: 'pg', driver: 'local', anonymous: false } as const;
  {
    using catalog = openSqliteCatalog(join(own.stateDir, 'catalog.db'));
    const places = [{ ...volume, ...unknown, ...disk, ...size }];
    catalog.usage.write({ host, places, gone: [], samples: [], kept: [] });
  }
  const ask = async (env: Readonly<Record<string, string>>) =>
    await own.attempt(['df', '-q'], { env: { HOLDFAST_HOST: 'docker', ...env } });
  expect(await ask({ DOCKER_HOST: endpoint })).toEqual({ exit: 0, stdout: 'pg\n', stderr: '' });
  const other = await ask({ DOCKER_HOST: `unix://${join(own.folder, 'other.sock')}` });
  expect(other).toMatchObject({
    exit: 1,
    stdout: '',
    stderr: expect.stringContaining('other.sock') as string,
  });
  expect((await ask({ HOLDFAST_HOST: 'embedded', DOCKER_HOST: endpoint })).stdout).toBe('own\n');
});

test('df shows what was known last where the host cannot be opened by the configuration as it is now', async () => {
  using own = new Cli();
  await own.volume('own');
  await own.run('df', '--refresh');
  writeFileSync(join(own.stateDir, 'holdfast.yaml'), 'host: [');
  const env = { HOLDFAST_HOST: '', DOCKER_HOST: '', CONTAINER_HOST: '' };
  const told = expect.stringContaining('cannot be used. What follows is what was known last.') as string;
  expect(await own.attempt(['df'], { env })).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('own') as string,
    stderr: told,
  });
});

test('top shows each volume once, as a table, as JSON, and as names', async () => {
  const args = ['top', '--once', '--interval', '100ms'];
  expect(await cli.run(...args)).toMatch(/^In 0\.\d s/);
  const { volumes: shown } = JSON.parse(await cli.run(...args, '--format', 'json')) as {
    readonly volumes: readonly object[];
  };
  expect(shown).toHaveLength(volumes);
  const names = (await cli.run(...args, '-q')).trimEnd().split('\n');
  expect(names.toSorted()).toEqual(
    Array.from({ length: volumes }, (_, index) => `volume-${index}`).toSorted(),
  );
});

test('top fits a terminal, and paints anew when that is resized', async () => {
  const shell = `stty cols 80 rows 24; ${command} top --interval 100ms & sleep 3; stty cols 60 rows 12; kill -WINCH $!; sleep 2; kill -INT $!; wait`;
  const terminal = spawn('script', ['-qfec', shell, '/dev/null'], {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const shown = text(terminal.stdout);
  await once(terminal, 'close');
  const frames = (await shown)
    .split('\u001b[H\u001b[J')
    .slice(1)
    .map((frame) => frame.trimEnd().split(/\r?\n/));
  const [first, last] = [frames[0] ?? [], frames.at(-1) ?? []];
  expect(first.length).toBeGreaterThan(15);
  expect(first.length).toBeLessThan(24);
  expect(Math.max(...first.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(last.length).toBeLessThan(12);
  expect(Math.max(...last.map((line) => line.length))).toBeLessThanOrEqual(60);
});

test.each([
  { reader: '| head -n 1', status: 0, words: '' },
  { reader: '> /dev/full', status: 1, words: 'Cannot write the output' },
])('top ends by itself when what it writes has no reader: $reader', async ({ reader, status, words }) => {
  const line = `timeout 60 ${command} top --interval 100ms ${reader}; echo "\${PIPESTATUS[0]}"`;
  const shell = spawn('bash', ['-c', line], {
    env: { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
  expect(out.trimEnd().split('\n').at(-1)).toBe(String(status));
  expect(err).toContain(words);
  if (status === 0) expect(err).toBe('');
});

test('an empty host is told by top in a sentence', async () => {
  using empty = new Cli();
  expect(await empty.run('top', '--once', '--interval', '100ms')).toContain('There is no volume');
});
