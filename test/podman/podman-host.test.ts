import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mustRun, runCommand } from '../../scripts/run-command.ts';
import { openPodmanHost } from '../../src/hosts/docker/index.ts';
import { openAtDockersPlace, probeDocker } from '../../src/hosts/docker/engine-probe.ts';
import { describeHost } from '../suites/host-contract.ts';
import { PluginService } from '../docker/plugin-service.ts';
import { holdfastCommand, type HoldfastCommand } from '../support/holdfast-command.ts';

let folder: string;
let service: ChildProcess;
let plugin: PluginService;
let env: Record<string, string>;
let holdfast: HoldfastCommand;
const address = (): string => `unix://${join(folder, 'podman.sock')}`;

/** Podman with a storage of its own: nothing is shared with the machine's, and nothing is pulled. */
async function podman(...args: string[]): Promise<string> {
  const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run')];
  const { exitCode, output, stdout } = await runCommand(
    'podman',
    [...places, '--storage-driver', 'vfs', '--runtime', 'runc', ...args],
    { env },
  );
  if (exitCode !== 0) throw new Error(`podman ${args.join(' ')}: ${output}`);
  return stdout.trim();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podman-'));
  plugin = new PluginService(join(folder, 'plugin'), { socketFolder: folder });
  writeFileSync(
    join(folder, 'containers.conf'),
    `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n[engine.volume_plugins]\n${plugin.driver} = "${plugin.socket}"\n`,
  );
  await plugin.start();
  writeFileSync(join(folder, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    TMPDIR: folder,
    CONTAINERS_CONF: join(folder, 'containers.conf'),
    PODMAN_IGNORE_CGROUPSV1_WARNING: '1',
  };
  await importBusybox();
  const places = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'vfs',
  ];
  service = spawn('podman', [...places, 'system', 'service', '--time', '0', address()], {
    env,
    stdio: 'ignore',
  });
  for (let attempt = 0; attempt < 1800 && !existsSync(join(folder, 'podman.sock')); attempt += 1)
    await sleep(100);
  holdfast = holdfastCommand(join(folder, 'state'), { HOLDFAST_HOST: 'podman', CONTAINER_HOST: address() });
});
afterAll(async () => {
  if (service === undefined) return;
  await podman('rm', '-f', '-t', '0', '-a');
  const exit = once(service, 'exit');
  service.kill('SIGTERM');
  await exit;
  await plugin[Symbol.asyncDispose]();
  for (const path of ['root', 'run']) await runCommand('umount', ['-R', '-q', join(folder, path)]);
  await rm(folder, { recursive: true, force: true });
});

async function importBusybox(): Promise<void> {
  const root = join(folder, 'busybox');
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of ['sh', 'cat', 'sleep', 'true']) await symlink('busybox', join(root, 'bin', name));
  await mustRun('tar', ['-C', root, '-cf', join(folder, 'busybox.tar'), '.']);
  await podman('import', join(folder, 'busybox.tar'), 'busybox');
}

const open = (dataWay: 'auto' | 'stream') => () =>
  openPodmanHost({ env: { CONTAINER_HOST: address() }, dataWay });
describeHost('the Podman host, directly', { open: open('auto') });

describe('the Podman host', () => {
  test('is the same one whenever it is asked', async () => {
    await using first = await open('auto')();
    await using second = await open('auto')();
    const { identity, kind } = await first.info();
    expect(kind).toBe('podman');
    expect(identity).toContain(join(folder, 'root'));
    expect((await second.info()).identity).toBe(identity);
  });

  test('gives each of four creations at once the same volume, twenty times', async () => {
    await using host = await open('auto')();
    const at = Array.from({ length: 4 }, () => ({ driver: 'local', labels: {}, options: {} }));
    for (let turn = 0; turn < 20; turn += 1) {
      const name = `raced-${turn}`;
      const made = await Promise.all(at.map(async (spec) => await host.createVolume({ ...spec, name })));
      expect(new Set(made.map((volume) => volume.name))).toEqual(new Set([name]));
      await host.removeVolume(name);
    }
  });

  test('is known for Podman behind the socket where Docker is looked for', async () => {
    const env = { DOCKER_HOST: address(), HOME: folder };
    for (const openHost of [openAtDockersPlace, probeDocker]) {
      await using host = await openHost({ env });
      await using again = await openHost({ env });
      expect(host?.kind).toBe('podman');
      expect((await host?.info())?.identity).toMatch(/^podman:/);
      expect((await again?.info())?.identity).toBe((await host?.info())?.identity);
    }
    await holdfast.run('volume', 'create', 'standing');
    const auto = holdfastCommand(join(folder, 'auto'), { HOLDFAST_HOST: 'auto', DOCKER_HOST: address() });
    expect(await auto.run('volume', 'ls', '--quiet')).toContain('standing');
    const remembered = readFileSync(join(folder, 'auto/host.json'), 'utf8');
    expect(JSON.parse(remembered)).toMatchObject({ kind: 'podman', endpoint: address() });
    await holdfast.run('volume', 'rm', 'standing');
  });

  test('says how Podman is started where its socket is missing', async () => {
    const { exitCode, output } = await holdfastCommand(join(folder, 'state'), {
      HOLDFAST_HOST: 'podman',
      CONTAINER_HOST: 'unix:///nowhere/podman.sock',
    }).attempt('volume', 'ls');
    expect([exitCode, output]).toEqual([1, expect.stringContaining('systemctl')]);
  });

  test.each(['auto', 'stream'] as const)('backs up a volume in use and restores it, %s', async (way) => {
    const volume = `app-${way}`;
    const app = holdfastCommand(join(folder, 'state'), {
      HOLDFAST_HOST: 'podman',
      CONTAINER_HOST: address(),
      HOLDFAST_DATA_WAY: way,
    });
    await app.attempt('init', '--repo', join(folder, 'repository'));
    const script =
      '[ -e /data/file ] || echo kept > /data/file; mkdir -p /data/sub; echo deep > /data/sub/file; exec sleep 1000';
    await podman(
      'run',
      '-d',
      '--name',
      volume,
      '--network',
      'none',
      '--stop-timeout',
      '0',
      '-v',
      `${volume}:/data`,
      'busybox',
      'sh',
      '-c',
      script,
    );
    const inContainer = (text: string): Promise<string> => podman('exec', volume, 'sh', '-c', text);
    await expect.poll(() => inContainer('cat /data/sub/file').catch(() => '')).toBe('deep');
    await app.run('backup', volume);
    await inContainer('echo lost > /data/file; echo more > /data/new');
    // Data that is only reached through the engine is replaced by a volume that is made anew.
    if (way === 'stream') await podman('rm', '-f', '-t', '0', volume);
    await app.run('restore', volume, '--yes');
    expect(await app.run('volume', 'cat', volume, 'file')).toBe('kept\n');
    expect(await app.run('volume', 'cat', volume, 'sub/file')).toBe('deep\n');
    expect(await app.run('volume', 'ls')).toContain(volume);
    if (way === 'stream') return;
    await expect.poll(() => inContainer('cat /data/file').catch(() => '')).toBe('kept');
    expect((await app.attempt('volume', 'rm', volume)).exitCode).toBe(5);
  });

  test('tells how long a container has to end, what it has joined, and when it ended', async () => {
    await using host = await openPodmanHost({ env: { CONTAINER_HOST: address() } });
    const { containers } = host;
    const wait = ['busybox', 'sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.2; done'];
    await podman('run', '-d', '--name', 'joined', '--network', 'none', '--stop-timeout', '7', ...wait);
    await podman('run', '-d', '--name', 'joining', '--network', 'container:joined', ...wait);
    const joined = await containers?.find('joined');
    expect(joined).toMatchObject({ stopTimeoutMs: 7000, joins: [] });
    expect(await containers?.find('joining')).toMatchObject({ stopTimeoutMs: 10_000, joins: [joined?.id] });
    await podman('rm', '-f', '-t', '0', 'joining');
    await containers?.stop('joined', {});
    expect(await containers?.find('joined')).toMatchObject({
      state: 'exited',
      exitCode: 0,
      finishedAt: expect.stringMatching(/^20\d\d-/),
    });
    expect(Math.abs((await containers?.clockAheadMs()) ?? Infinity)).toBeLessThan(60_000);
    await podman('rm', '-f', 'joined');
  });

  test('finds what lies in a volume, through the engine as well as directly', async () => {
    await holdfast.run('volume', 'create', 'plain');
    writeFileSync(join(folder, 'root/volumes/plain/_data/file'), 'direct');
    for (const way of ['auto', 'stream']) {
      const reader = holdfastCommand(join(folder, 'state'), {
        HOLDFAST_HOST: 'podman',
        CONTAINER_HOST: address(),
        HOLDFAST_DATA_WAY: way,
      });
      expect(await reader.run('volume', 'cat', 'plain', 'file')).toBe('direct');
    }
    await holdfast.run('volume', 'cp', join(folder, 'containers.conf'), 'plain:/');
    expect(readFileSync(join(folder, 'root/volumes/plain/_data/containers.conf'), 'utf8')).toContain(
      '[engine]',
    );
    await holdfast.run('volume', 'rm', 'plain');
  });
});

describe('volumes of the plugin in Podman', () => {
  const create = (...args: string[]): Promise<string> =>
    podman('volume', 'create', '--driver', plugin.driver, ...args);
  const inContainer = (volume: string, script: string): Promise<string> =>
    podman('run', '--rm', '--network', 'none', '-v', `${volume}:/data`, 'busybox', 'sh', '-c', script);

  test('keep what a container writes for the next one, and go to the trash', async () => {
    await create('plugged');
    await inContainer('plugged', 'echo kept > /data/file');
    expect(await inContainer('plugged', 'cat /data/file')).toBe('kept');
    await podman('volume', 'rm', 'plugged');
    const own = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'embedded' });
    expect(await own.run('trash', 'ls')).toContain('plugged');
  });

  test('fail with the reason where the plugin refuses', async () => {
    const own = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'embedded' });
    await expect(create('--opt', 'bogus=1', 'wrong')).rejects.toThrow(/"bogus"/);
    expect(await podman('volume', 'ls', '-q')).not.toContain('wrong');
    await create('guarded');
    await own.run('volume', 'protect', 'guarded');
    await expect(podman('volume', 'rm', 'guarded')).rejects.toThrow(/protected/);
    expect(await podman('volume', 'ls', '-q')).toContain('guarded');
    await own.run('volume', 'unprotect', 'guarded');
    await podman('volume', 'rm', 'guarded');
  });

  test('keep a container from starting on an empty directory when they cannot be mounted', async () => {
    const device = join(folder, 'elsewhere');
    await mkdir(device);
    await create('--opt', 'type=bind', '--opt', `device=${device}`, 'away');
    await inContainer('away', 'true');
    await rm(device, { recursive: true });
    await expect(inContainer('away', 'echo hidden > /data/file')).rejects.toThrow(/elsewhere/);
    await podman('volume', 'rm', 'away');
  });

  test('have Podman’s containers as consumers, wherever they are looked at from', async () => {
    await create('used');
    const rest = ['--network', 'none', 'busybox', 'sleep', '1000'];
    await podman('run', '-d', '--name', 'user', '--stop-timeout', '0', '-v', 'used:/data:ro', ...rest);
    const { mountpoint } = (await inspected(holdfast, 'used')) as { mountpoint: string };
    await podman('create', '--name', 'binder', '-v', `${mountpoint}:/bound`, ...rest);
    const own = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'embedded', CONTAINER_HOST: address() });
    expect(await inspected(holdfast, 'used')).toMatchObject({
      consumers: [{ name: 'user', state: 'running', path: '/data', readOnly: true }],
    });
    const { consumers } = (await inspected(own, 'used')) as { consumers: { name: string }[] };
    expect(consumers.toSorted((one, other) => (one.name < other.name ? -1 : 1))).toMatchObject([
      { name: 'binder', state: 'created', path: '/bound', readOnly: false },
      { name: 'user', state: 'running', path: '/data', readOnly: true },
    ]);
    expect(await holdfast.run('volume', 'ls')).toMatch(/^used .*user/m);
    expect(await own.run('volume', 'ls')).toMatch(/^used .*\(binder\).*user|^used .*user.*\(binder\)/m);
    const absent = holdfastCommand(plugin.stateDir, {
      HOLDFAST_HOST: 'embedded',
      CONTAINER_HOST: 'unix:///nowhere/podman.sock',
    });
    expect(await inspected(absent, 'used')).toMatchObject({ consumers: [] });
    await podman('rm', '-f', '-t', '0', 'user', 'binder');
    await podman('volume', 'rm', 'used');
  });
});

async function inspected(command: HoldfastCommand, volume: string): Promise<unknown> {
  const [found] = JSON.parse(await command.run('volume', 'inspect', volume)) as unknown[];
  return found;
}
