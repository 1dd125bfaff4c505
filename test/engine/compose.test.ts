import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import { Cli } from '../cli/cli.ts';
import { PluginService } from '../docker/plugin-service.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';

let engine: PrivateEngine;
let plugin: PluginService;
let cli: Cli;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasPluginFolder: true });
  await engine.importBusybox();
  cli = new Cli();
  // What the plugin mounts spreads to the engine from its own folder only.
  plugin = new PluginService(join(engine.folder, 'state'), {
    socketFolder: engine.pluginFolder,
    driver: 'holdfast',
  });
  await plugin.start({ DOCKER_HOST: engine.dockerHost });
});
afterAll(async () => {
  for (const stack of stacks) await stack.compose('down', '-v', '-t', '0').catch(() => undefined);
  await plugin?.[Symbol.asyncDispose]();
  cli?.[Symbol.dispose]();
  await engine?.[Symbol.asyncDispose]();
});

const run = promisify(execFile);
const stacks: ComposeStack[] = [];

interface ComposeStack {
  readonly folder: string;
  /** `docker compose`; throws when it fails. */
  compose(...args: string[]): Promise<string>;
  /** `holdfast compose` on it. */
  holdfast(...args: string[]): ReturnType<Cli['attempt']>;
  /** The rules of its findings, and the exit number. */
  check(): Promise<{ readonly exit: number; readonly findings: readonly Finding[] }>;
}

/** A stack of a busybox that sleeps, with what `yaml` adds to its service and below it. */
function stackOf(name: string, service: string, rest = ''): ComposeStack {
  const folder = join(engine.folder, name);
  mkdirSync(folder, { recursive: true });
  const head =
    'services:\n  app:\n    image: busybox\n    command: sleep 1000\n    init: true\n    stop_grace_period: 0s\n';
  writeFileSync(join(folder, 'compose.yaml'), `${head}    network_mode: none\n${service}${rest}`);
  const env = {
    HOLDFAST_HOST: 'docker',
    DOCKER_HOST: engine.dockerHost,
    HOLDFAST_STATE_DIR: plugin.stateDir,
  };
  const holdfast: ComposeStack['holdfast'] = (...args) =>
    cli.attempt(['compose', ...args], { env, cwd: folder });
  const stack: ComposeStack = {
    folder,
    async compose(...args) {
      const { stdout, stderr } = await run('docker-compose', args, { cwd: folder, env: engine.env });
      return `${stdout}${stderr}`;
    },
    holdfast,
    async check() {
      const { exit, stdout, stderr } = await holdfast('check', '--format', 'json');
      if (stdout === '') throw new Error(stderr);
      return { exit, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings };
    },
  };
  stacks.push(stack);
  return stack;
}

const rulesOf = ({ findings }: { readonly findings: readonly Finding[] }): string[] =>
  findings.map(({ rule }) => rule);

test('a missing bind source becomes a folder of root by "up", and one for the service by prepare', async () => {
  const lines = `    user: '1000:1000'\n    volumes: ['./data:/data', './app.conf:/etc/app.conf']\n`;
  const unprepared = stackOf('unprepared', lines);
  expect(rulesOf(await unprepared.check())).toEqual(['missing-bind-source', 'folder-for-file']);
  await unprepared.compose('up', '-d');
  expect(statSync(join(unprepared.folder, 'data')).uid).toBe(0);
  expect(statSync(join(unprepared.folder, 'app.conf')).isDirectory()).toBe(true);
  await expect(unprepared.compose('exec', '-T', 'app', 'touch', '/data/file')).rejects.toThrow(/denied/);

  const prepared = stackOf('prepared', lines);
  const plan = await prepared.holdfast('prepare', '--dry-run');
  expect(plan.exit).toBe(0);
  expect(plan.stdout).toContain('owner 1000:1000');
  expect(existsSync(join(prepared.folder, 'data'))).toBe(false);
  // A file is the user's to write.
  const first = await prepared.holdfast('prepare', '--yes');
  expect([first.exit, first.stdout]).toEqual([3, expect.stringContaining('made     folder')]);
  expect(existsSync(join(prepared.folder, 'app.conf'))).toBe(false);
  writeFileSync(join(prepared.folder, 'app.conf'), 'here\n');
  const second = await prepared.holdfast('prepare', '--yes');
  expect([second.exit, second.stdout]).toEqual([0, expect.stringContaining('There is nothing to prepare')]);
  expect(await prepared.check()).toMatchObject({ exit: 0, findings: [] });
  await prepared.compose('up', '-d');
  await prepared.compose('exec', '-T', 'app', 'touch', '/data/file');
  expect(await prepared.compose('exec', '-T', 'app', 'cat', '/etc/app.conf')).toBe('here\n');
});

test('without --yes and without a terminal nothing is made', async () => {
  const stack = stackOf('asked', `    volumes: ['./data:/data']\n`);
  const { exit, stderr } = await stack.holdfast('prepare');
  expect([exit, stderr]).toEqual([2, expect.stringContaining('--yes')]);
  expect(existsSync(join(stack.folder, 'data'))).toBe(false);
});

test('what "up" fails at is found before it, and prepare mends it: devices and external volumes', async () => {
  const stack = stackOf(
    'lacking',
    `    volumes: ['bound:/bound', 'kept:/kept']\n`,
    `volumes:
  bound: {driver: local, driver_opts: {type: none, o: bind, device: '${engine.folder}/srv/bound'}}
  kept: {external: true}
`,
  );
  expect(rulesOf(await stack.check()).toSorted()).toEqual(['missing-device', 'missing-external-volume']);
  await expect(stack.compose('up', '-d')).rejects.toThrow(/external volume/);
  expect((await stack.holdfast('prepare', '--yes')).exit).toBe(0);
  expect(await stack.check()).toMatchObject({ exit: 0, findings: [] });
  await stack.compose('up', '-d');
  await stack.compose('exec', '-T', 'app', 'touch', '/bound/file', '/kept/file');
  expect(existsSync(join(engine.folder, 'srv/bound/file'))).toBe(true);
});

test('a volume that x-holdfast wants encrypted is made encrypted, and "up" uses it', async () => {
  const rest = `volumes:
  secret:
    external: true
    name: prepared-secret
    x-holdfast: {storage: {type: gocryptfs}}
`;
  const stack = stackOf('encrypted', `    volumes: ['secret:/secret']\n`, rest);
  const plan = await stack.holdfast('prepare', '--dry-run');
  expect(plan.stdout).toContain('volume "prepared-secret", driver holdfast "type=gocryptfs", encrypted');
  const { exit, stderr } = await stack.holdfast('prepare', '--yes');
  expect([exit, stderr]).toEqual([0, expect.any(String)]);
  await stack.compose('up', '-d');
  await stack.compose('exec', '-T', 'app', 'sh', '-c', 'echo hidden > /secret/plain-name');
  expect(
    await engine.docker(['volume', 'inspect', '-f', '{{.Driver}} {{.Options.type}}', 'prepared-secret']),
  ).toBe('holdfast gocryptfs');
  // What lies on the disk has neither the name nor the text.
  const kept = readdirSync(join(plugin.stateDir, 'volumes/prepared-secret'), {
    recursive: true,
    withFileTypes: true,
  });
  const files = kept.filter((entry) => entry.isFile() && !entry.parentPath.includes('/_data'));
  expect(files.length).toBeGreaterThan(1);
  for (const { parentPath, name } of files) {
    expect(name).not.toBe('plain-name');
    expect(readFileSync(join(parentPath, name)).includes('hidden')).toBe(false);
  }
  expect((await stack.holdfast('prepare', '--yes')).stdout).toContain('There is nothing to prepare');
});

test('a volume whose options were changed in the file is loss, and the engine goes on with the old ones', async () => {
  const declare = (size: string): string =>
    `volumes:\n  cache: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=${size}'}}\n`;
  const stack = stackOf('changing', `    volumes: ['cache:/cache']\n`, declare('1m'));
  expect(await stack.check()).toMatchObject({ exit: 0, findings: [] });
  await stack.compose('up', '-d');
  expect(await stack.check()).toMatchObject({ exit: 0, findings: [] });
  const text = `services:\n  app:\n    image: busybox\n    volumes: ['cache:/cache']\n${declare('2m')}`;
  writeFileSync(join(stack.folder, 'compose.yaml'), text);
  const { exit, findings } = await stack.check();
  expect([exit, findings.map(({ rule, severity }) => [rule, severity])]).toEqual([
    1,
    [['changed-volume', 'loss']],
  ]);
  expect(findings[0]?.evidence).toEqual(['option "o" is "size=1m", not "size=2m"']);
});

test('x-holdfast of a stack that was never started is checked against the policies that there are', async () => {
  const rest = `volumes:\n  data: {x-holdfast: {policy: nightly, keep: {last: 3, daily: many}}}\n  more: {x-holdfast: {policy: hourly}}\n`;
  const stack = stackOf('policed', `    volumes: ['data:/data', 'more:/more']\n`, rest);
  const configuration = join(stack.folder, 'holdfast.yaml');
  writeFileSync(configuration, 'policies: {nightly: {schedule: "@daily"}}\n');
  const { exit, stdout } = await stack.holdfast('check', '--format', 'json', '--config', configuration);
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  expect([exit, findings.map(({ rule, position }) => [rule, position?.line])]).toEqual([
    1,
    [['invalid-settings', 10]],
  ]);
  const file = join(stack.folder, 'compose.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('many', '7'));
  const again = JSON.parse(
    (await stack.holdfast('check', '--format', 'json', '--config', configuration)).stdout,
  ) as {
    findings: Finding[];
  };
  expect(again.findings.map(({ rule, subject, position }) => [rule, subject.name, position?.line])).toEqual([
    ['unknown-policy', 'hourly', 11],
  ]);
  const before = await stack.holdfast('explain', '--lang', 'en', '--config', configuration);
  expect(before.stdout).toContain('the policy "nightly" will cover it, by "x-holdfast".');
  await stack.compose('up', '-d');
  const explained = await stack.holdfast('explain', '--lang', 'en', '--config', configuration);
  expect(explained.stdout).toContain(
    '"down -v" deletes it; the policy "nightly" covers it, and there is no good backup yet.',
  );
});

test('a mount inside of a read-only one whose place is missing does not start, and check says so', async () => {
  const stack = stackOf(
    'nested',
    `    volumes: ['./outer:/outer:ro', 'inner:/outer/inner']\n`,
    'volumes: {inner: }\n',
  );
  mkdirSync(join(stack.folder, 'outer'));
  expect(rulesOf(await stack.check())).toEqual(['mount-in-read-only']);
  await expect(stack.compose('up', '-d')).rejects.toThrow(/read-only file system/);
  mkdirSync(join(stack.folder, 'outer/inner'));
  expect(rulesOf(await stack.check())).toEqual(['mount-over-mount']);
  await stack.compose('up', '-d');
});

test('graph and explain show the anonymous volume that only the image declares', async () => {
  await engine.docker(['create', '--name', 'hoarder', 'busybox', 'true']);
  await engine.docker(['commit', '-c', 'VOLUME /hoard', 'hoarder', 'hoarder:1']);
  const stack = stackOf('hoarding', `    volumes: ['named:/data']\n`, 'volumes: {named: }\n');
  const text = `services:\n  app:\n    image: hoarder:1\n    volumes: ['named:/data']\nvolumes: {named: }\n`;
  writeFileSync(join(stack.folder, 'compose.yaml'), text);
  const drawn = await stack.holdfast('graph');
  expect(drawn.stdout).toMatch(/anonymous volume .*▶│ \/hoard/);
  expect(drawn.stdout).toContain(`${engine.dataRoot}/volumes`);
  const explained = await stack.holdfast('explain', '--lang', 'fr');
  expect(explained.stdout).toContain('«\u00a0/hoard\u00a0» dans «\u00a0app\u00a0» est un volume anonyme');
});

test('without an engine, check says what it could not look at, and still finds what is in the file', async () => {
  const stack = stackOf('alone', `    volumes: ['./gone:/gone']\n`);
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: `unix://${engine.folder}/no.sock` };
  const { exit, stdout, stderr } = await cli.attempt(['compose', 'check'], { env, cwd: stack.folder });
  expect([exit, stdout]).toEqual([1, expect.stringContaining('HF-C010')]);
  expect(stderr).toContain('The engine was not looked at');
});

test('an engine that maps users gets folders with its own numbers; without the plugin, it is said what to start', async () => {
  await using mapped = await startPrivateEngine({ firstUser: 300_000 });
  await mapped.importBusybox();
  const folder = join(mapped.folder, 'mapped');
  mkdirSync(folder);
  const service = (name: string, more: string): string =>
    `  ${name}: { image: busybox, command: touch /data/file, network_mode: none, volumes: ['./${name}:/data'], ${more} }\n`;
  writeFileSync(
    join(folder, 'compose.yaml'),
    `services:\n${service('user', `user: '1000:1001'`)}${service('root', '')}${service('out', `user: '1000', userns_mode: host`)}`,
  );
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: mapped.dockerHost };
  const prepare = (...args: string[]): ReturnType<Cli['attempt']> =>
    cli.attempt(['compose', 'prepare', '--yes', ...args], { env, cwd: folder });
  expect(await prepare()).toMatchObject({ exit: 0 });
  const owners = { user: [301_000, 301_001], root: [300_000, 300_000], out: [1000, 0] };
  for (const [name, [uid, gid]] of Object.entries(owners)) {
    expect(statSync(join(folder, name))).toMatchObject({ uid, gid });
    await run('docker-compose', ['run', '--rm', name], { cwd: folder, env: mapped.env });
    expect(statSync(join(folder, name, 'file'))).toMatchObject({ uid, gid });
  }
  writeFileSync(
    join(folder, 'secret.yaml'),
    'services: { app: { image: busybox, volumes: ["secret:/data"] } }\nvolumes: { secret: { external: true, x-holdfast: { storage: { type: luks, size: 64m } } } }\n',
  );
  const { exit, stderr } = await prepare('secret.yaml');
  expect([exit, stderr]).toEqual([
    4,
    expect.stringMatching(
      /"secret": the engine does not reach a driver "holdfast"[^]*\nHint: Start "holdfast plugin"/,
    ),
  ]);
});
