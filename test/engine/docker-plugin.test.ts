import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mustRun, runCommand } from '../../scripts/run-command.ts';
import { servePlugin } from '../../src/surfaces/docker-plugin/serve-plugin.ts';
import { PluginService } from '../docker/plugin-service.ts';
import { PluginVolume, removeContainers } from '../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { directoryVolumes } from '../support/directory-volumes.ts';
import { command, holdfastCommand } from '../support/holdfast-command.ts';

let engine: PrivateEngine;
let plugin: PluginService;
let docker: PrivateEngine['docker'];
beforeAll(async () => {
  engine = await startPrivateEngine({ hasPluginFolder: true });
  docker = engine.docker;
  await engine.importBusybox();
  plugin = new PluginService(join(engine.folder, 'state'), { socketFolder: engine.pluginFolder });
  await plugin.start({ DOCKER_HOST: engine.dockerHost });
});
afterAll(async () => {
  if (engine === undefined) return;
  await removeContainers(engine);
  await plugin?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});
let name: string;
let volume: PluginVolume;
beforeEach(() => {
  name = `v${randomBytes(4).toString('hex')}`;
  volume = new PluginVolume(docker, { name, driver: plugin.driver });
});
// One that failed leaves its containers, and the mounts of their volumes, to those after it.
afterEach(async () => removeContainers(engine));

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return String((error as { stderr?: string } | undefined)?.stderr ?? error);
};

describe('a volume of the plugin', () => {
  test.each([
    ['a plain directory', []],
    ['an image with a size', ['size=40m']],
  ])('on %s keeps what a container writes for the next one', async (_what, options) => {
    await volume.create(...options);
    await volume.inContainer('echo kept > /data/file && chown 7:8 /data/file');
    expect(await volume.inContainer('cat /data/file; stat -c %u:%g /data/file')).toBe('kept\n7:8');
    expect((await volume.status()).mounts).toBe(0);
  });

  test('has the requested size', async () => {
    await volume.create('size=40m');
    const kilobytes = Number(await volume.inContainer("df -k /data | tail -1 | awk '{print $2}'"));
    expect(kilobytes).toBeGreaterThan(20_000);
    expect(kilobytes).toBeLessThan(41_000);
    expect(await volume.inContainer('dd if=/dev/zero of=/data/big bs=1M count=60 2>&1 | head -1')).toContain(
      'No space',
    );
  });

  test('in memory is gone with the last container, and not before', async () => {
    await volume.create('type=tmpfs', 'size=8m');
    await volume.keepRunning(`${name}-one`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo fleeting > /data/file']);
    expect(await volume.inContainer('cat /data/file')).toBe('fleeting');
    await docker(['rm', '-f', `${name}-one`]);
    expect(await volume.inContainer('ls /data')).toBe('');
  });

  test('shows no path while unmounted, and none of its data is written beside it', async () => {
    await volume.create('size=40m');
    expect((await volume.inspect()).Mountpoint).toBe('');
    const path = join(plugin.stateDir, 'volumes', name, '_data');
    await expect(writeFile(join(path, 'hidden'), 'x')).rejects.toThrow();
    await volume.keepRunning(name);
    expect((await volume.inspect()).Mountpoint).toBe(path);
    await docker(['rm', '-f', name]);
  });

  test('with wrong options is refused with reasons, and does not exist then', async () => {
    const words = await refusal(volume.create('bogus=1'));
    expect(words).toContain(`create ${name}: `);
    expect(words).toContain('"bogus"');
    expect(words).not.toContain('VolumeDriver.');
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}`])).toBe('');
  });

  test('that does not exist is reported missing, and the engine does not ask again', async () => {
    const log = (): string => readFileSync(join(engine.folder, 'dockerd.log'), 'utf8');
    const before = log().length;
    expect(await refusal(docker(['volume', 'inspect', name]))).toContain(`get ${name}: no such volume`);
    await volume.create();
    await holdfastCommand(plugin.stateDir).run('volume', 'protect', name);
    const words = await refusal(volume.remove());
    expect(words).toContain(`remove ${name}: `);
    expect(words).toContain('protected');
    expect(words).not.toContain('VolumeDriver.');
    expect(log().slice(before)).not.toContain('retrying');
    await holdfastCommand(plugin.stateDir).run('volume', 'unprotect', name);
    await volume.remove();
  });

  test('can be created again without an error', async () => {
    await volume.create('size=40m');
    await volume.create('size=40m');
    expect(await volume.inspect()).toMatchObject({ Driver: plugin.driver, Options: { size: '40m' } });
  });
});

describe('containers that share a volume', () => {
  test('hold it separately: it is unmounted after the last one', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(`${name}-one`);
    await volume.keepRunning(`${name}-two`);
    expect((await volume.status()).mounts).toBe(2);
    await docker(['rm', '-f', `${name}-one`]);
    expect(await docker(['exec', `${name}-two`, 'sh', '-c', 'echo on > /data/file; cat /data/file'])).toBe(
      'on',
    );
    await docker(['rm', '-f', `${name}-two`]);
    expect(await volume.inspect()).toMatchObject({ Status: { mounts: 0, mounted: false } });
    expect(plugin.mountsHere()).toEqual([]);
  });

  test('are not disturbed by a copy out of one of them', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo copied > /data/file']);
    await docker(['cp', `${name}:/data/file`, join(engine.folder, `${name}.txt`)]);
    expect(readFileSync(join(engine.folder, `${name}.txt`), 'utf8')).toBe('copied\n');
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('copied');
    await docker(['rm', '-f', name]);
    expect(plugin.mountsHere()).toEqual([]);
  });

  test('keep it from being removed', async () => {
    await volume.create();
    await volume.keepRunning(name);
    expect(await refusal(docker(['volume', 'rm', name]))).toContain('volume is in use');
    await docker(['rm', '-f', name]);
    await docker(['volume', 'rm', name]);
  });
});

describe('a volume that is removed', () => {
  test('goes to the trash with its data', async () => {
    await volume.create();
    await volume.inContainer('echo precious > /data/file');
    await docker(['volume', 'rm', name]);
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}`])).toBe('');
    const [trashed] = readdirSync(join(plugin.stateDir, 'trash')).filter((entry) =>
      entry.startsWith(`${name}.`),
    );
    expect(readFileSync(join(plugin.stateDir, 'trash', trashed ?? '', '_data/file'), 'utf8')).toBe(
      'precious\n',
    );
  });

  test('comes back with its labels and options', async () => {
    const labels = { 'com.example.tier': 'gold', 'com.docker.compose.project': 'shop' };
    const words = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
    await docker(['volume', 'create', '-d', plugin.driver, ...words, '-o', 'size=40m', name]);
    const own = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'embedded' });
    await expect.poll(() => own.run('volume', 'inspect', name)).toContain('gold');
    await volume.inContainer('echo precious > /data/file');
    await volume.remove();
    await own.run('trash', 'restore', name);
    expect(await volume.inspect()).toMatchObject({ Labels: labels, Options: { size: '40m' } });
    expect(await docker(['volume', 'ls', '-q', '-f', 'label=com.example.tier=gold'])).toBe(name);
    expect(await volume.inContainer('cat /data/file')).toBe('precious');
    await engine.restart();
    expect(await volume.inspect()).toMatchObject({ Labels: labels, Options: { size: '40m' } });
    await own.run('volume', 'rename', name, `${name}-new`);
    const renamed = new PluginVolume(docker, { name: `${name}-new`, driver: plugin.driver });
    expect(await renamed.inspect()).toMatchObject({ Labels: labels, Options: { size: '40m' } });
    expect(await docker(['volume', 'ls', '-q', '-f', `name=^${name}$`])).toBe('');
    await renamed.remove();
  });

  test('comes back while its engine is down, with a note', async () => {
    await docker(['volume', 'create', '-d', plugin.driver, '--label', 'a=b', name]);
    const own = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'embedded' });
    await expect.poll(() => own.run('volume', 'inspect', name)).toContain('"a": "b"');
    await volume.remove();
    await engine.kill();
    const { exitCode, output } = await own.attempt('trash', 'restore', name);
    await engine.restart();
    expect(exitCode).toBe(0);
    expect(output).toContain(`Docker does not know the labels and options of "${name}"`);
  });

  test('by another program is removed for Docker too', async () => {
    await volume.create();
    await holdfastCommand(plugin.stateDir).run('volume', 'rm', name);
    await docker(['volume', 'rm', '-f', name]);
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}`])).toBe('');
  });
});

describe('a plugin that is killed', () => {
  test('disturbs no container; after a restart it counts right, and unmounts when the last has exited', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(`${name}-one`);
    await volume.keepRunning(`${name}-two`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo before > /data/file']);
    await plugin.end('SIGKILL');
    expect(
      await docker(['exec', `${name}-two`, 'sh', '-c', 'cat /data/file; echo during > /data/file']),
    ).toBe('before');
    await plugin.start();
    expect(await docker(['exec', `${name}-one`, 'cat', '/data/file'])).toBe('during');
    expect(await volume.status()).toMatchObject({ mounts: 2, mounted: true });
    await docker(['rm', '-f', `${name}-one`]);
    expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
    await docker(['rm', '-f', `${name}-two`]);
    expect(plugin.mountsHere()).toEqual([]);
    expect(await volume.inContainer('cat /data/file')).toBe('during');
  });

  test('is waited for: requests made meanwhile are served once it is back', async () => {
    await volume.create();
    await volume.inContainer('echo here > /data/file');
    await plugin.end('SIGKILL');
    const waiting = volume.inContainer('cat /data/file');
    await sleep(1500);
    await plugin.start();
    expect(await waiting).toBe('here');
  });

  test('while a container exits leaves no mount behind', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(name);
    await plugin.end('SIGKILL');
    const removing = docker(['rm', '-f', name]);
    await sleep(1500);
    await plugin.start();
    await removing;
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
  });
});

describe('an engine that starts again', () => {
  test('knows the volumes with their labels and options, and mounts them for the containers that it starts', async () => {
    await docker(['volume', 'create', '-d', plugin.driver, '-o', 'size=40m', '--label', 'env=prod', name]);
    await docker([
      'run',
      '-d',
      '--restart',
      'always',
      '--name',
      name,
      '-v',
      `${name}:/data`,
      'busybox',
      'sleep',
      '10000',
    ]);
    await docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
    await engine.restart('SIGTERM');
    expect(await volume.inspect()).toMatchObject({ Labels: { env: 'prod' }, Options: { size: '40m' } });
    await untilRunning(name);
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('kept');
    await docker(['rm', '-f', name]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
  });

  test('after a crash releases what its dead containers held', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(name);
    await engine.restart('SIGKILL');
    await docker(['rm', '-f', name]);
    await expect.poll(() => volume.status()).toMatchObject({ mounts: 0, mounted: false });
    await docker(['volume', 'rm', name]);
  });

  test('while the plugin is down forgets none of its volumes', async () => {
    await docker(['volume', 'create', '-d', plugin.driver, '--label', 'env=prod', name]);
    await plugin.end('SIGTERM');
    const restarted = engine.restart('SIGTERM');
    await sleep(4000);
    await plugin.start();
    await restarted;
    expect(await volume.inspect()).toMatchObject({ Driver: plugin.driver, Labels: { env: 'prod' } });
  });
});

test('containers that outlive their engine keep their volumes, and release them when they exit', async () => {
  await using living = await startPrivateEngine({ args: ['--live-restore'], hasPluginFolder: true });
  await living.importBusybox();
  await symlink(plugin.socket, join(living.pluginFolder, `${plugin.driver}.sock`));
  const volume = ['-v', `${name}:/data`];
  await living.docker(['volume', 'create', '-d', plugin.driver, '-o', 'size=40m', name]);
  await living.docker(['run', '-d', '--name', name, ...volume, 'busybox', 'sleep', '10000']);
  await living.docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
  await living.restart('SIGTERM');
  expect(await living.docker(['exec', name, 'cat', '/data/file'])).toBe('kept');
  await living.docker(['rm', '-f', name]);
  expect(plugin.mountsHere()).toEqual([]);
  await living.docker(['volume', 'rm', name]);
});

test('Compose makes volumes of the plugin, and takes them down into the trash', async () => {
  const folder = join(engine.folder, name);
  await mkdir(folder);
  await writeFile(
    join(folder, 'compose.yaml'),
    `services:
  app:
    image: busybox
    command: sh -c 'echo composed > /data/file; sleep 10000'
    network_mode: none
    stop_grace_period: 0s
    volumes: ['data:/data']
volumes:
  data:
    driver: ${plugin.driver}
    driver_opts: { size: 40m }
`,
  );
  const compose = (...args: string[]): Promise<string> =>
    docker(['compose', '--project-directory', folder, '-p', name, ...args]);
  await compose('up', '-d');
  const volume = `${name}_data`;
  expect(await docker(['volume', 'inspect', '-f', '{{.Driver}} {{.Options.size}}', volume])).toBe(
    `${plugin.driver} 40m`,
  );
  await compose('down', '-v');
  expect(await docker(['volume', 'ls', '-q', '-f', `name=${volume}`])).toBe('');
  expect(readdirSync(join(plugin.stateDir, 'trash')).some((entry) => entry.startsWith(`${volume}.`))).toBe(
    true,
  );
  expect(plugin.mountsHere()).toEqual([]);
});

describe('its socket', () => {
  test('is for root and its group, and is removed when the plugin exits cleanly', async () => {
    expect(statSync(plugin.socket).mode & 0o7777).toBe(0o660);
    await plugin.end('SIGTERM');
    expect(existsSync(plugin.socket)).toBe(false);
    await plugin.start();
  });

  test('is served by one process at a time', async () => {
    const second = await runCommand(command, [
      'plugin',
      '--state-dir',
      plugin.stateDir,
      '--socket',
      plugin.socket,
    ]);
    expect(second.exitCode).toBe(5);
    expect(second.output).toContain('listens there already');
    expect(await docker(['volume', 'ls', '-q'])).toEqual(expect.any(String));
  });

  test('can be one that systemd opened', async () => {
    const socket = join(engine.pluginFolder, `${plugin.driver}s.sock`);
    const state = join(plugin.stateDir, 'activated');
    const started = spawn(
      'systemd-socket-activate',
      ['-l', socket, '-E', 'PATH', command, 'plugin', '--state-dir', state],
      { stdio: 'ignore' },
    );
    try {
      await expect.poll(() => existsSync(socket)).toBe(true);
      await docker(['volume', 'create', '-d', `${plugin.driver}s`, name]);
      expect(await volume.inContainer('echo activated > /data/file; cat /data/file')).toBe('activated');
      await docker(['volume', 'rm', name]);
    } finally {
      const exit = once(started, 'exit');
      started.kill('SIGTERM');
      await exit;
      rmSync(socket, { force: true });
    }
  });
});

test('a crash of the engine is noticed even where a service of the host sees all mounts', async () => {
  const stateDir = join(engine.folder, name);
  await mkdir(stateDir);
  // As systemd makes all mounts of the host.
  await mustRun('mount', ['--bind', stateDir, stateDir]);
  await mustRun('mount', ['--make-shared', stateDir]);
  const own = new PluginService(stateDir, { socketFolder: engine.pluginFolder });
  // As a service with PrivateTmp=yes has it.
  const service = spawn('unshare', ['--mount', '--propagation', 'slave', 'sleep', '1000']);
  try {
    await own.start();
    await docker(['volume', 'create', '-d', own.driver, '-o', 'size=40m', name]);
    await volume.keepRunning(name);
    expect(readFileSync(`/proc/${service.pid}/mountinfo`, 'utf8')).toContain(`/volumes/${name}/_data `);
    await engine.restart('SIGKILL');
    await docker(['rm', '-f', name]);
    await expect.poll(() => volume.status()).toMatchObject({ mounts: 0, mounted: false });
    await docker(['volume', 'rm', name]);
  } finally {
    service.kill('SIGKILL');
    await own[Symbol.asyncDispose]();
    await mustRun('umount', ['-R', stateDir]);
  }
});

test('no answer of the plugin waits for an engine, which may be waiting for it', async () => {
  const held = new Set<Socket>();
  // Accepts every request and answers none.
  const listener = createServer((socket) => {
    held.add(socket);
    socket.on('error', () => undefined).resume();
  });
  const path = join(engine.folder, `${name}.sock`);
  listener.listen(path);
  await once(listener, 'listening');
  const own = new PluginService(join(engine.folder, name), { socketFolder: engine.pluginFolder });
  try {
    await own.start({ DOCKER_HOST: `unix://${path}`, CONTAINER_HOST: `unix://${path}` });
    await docker(['volume', 'create', '-d', own.driver, '-o', 'size=40m', name]);
    await expect.poll(() => held.size).toBeGreaterThan(0);
    expect(await volume.inContainer('echo made > /data/file; cat /data/file')).toBe('made');
    await docker(['volume', 'rm', name]);
  } finally {
    listener.close();
    for (const socket of held) socket.destroy();
    await own[Symbol.asyncDispose]();
  }
});

describe('volumes that two engines share', () => {
  let shared: string;
  let other: PrivateEngine;
  // The same driver at both, as on two machines: each engine finds its own service.
  const ours: PluginService[] = [];
  beforeAll(async () => {
    shared = join(engine.folder, 'shared');
    await mkdir(join(shared, 'data'), { recursive: true });
    await mkdir(join(shared, 'records'), { mode: 0o700 });
    await writeFile(join(shared, 'records/holdfast-shared'), '');
    other = await startPrivateEngine({ hasPluginFolder: true });
    await other.importBusybox();
    const here = new PluginService(join(engine.folder, 'here'), { socketFolder: engine.pluginFolder });
    const there = new PluginService(join(other.folder, 'there'), {
      socketFolder: other.pluginFolder,
      driver: here.driver,
    });
    for (const service of [here, there]) {
      ours.push(service);
      await service.start({}, '--shared', join(shared, 'records'));
    }
  });
  afterAll(async () => {
    if (other === undefined) return;
    await removeContainers(other);
    await removeContainers(engine);
    for (const service of ours) await service[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });
  const driver = (): string => ours[0]?.driver ?? '';
  const here = (): PluginVolume => new PluginVolume(docker, { name, driver: driver() });
  const there = (): PluginVolume => new PluginVolume(other.docker, { name, driver: driver() });
  const onShare = (): string[] => ['type=none', `device=${join(shared, 'data')}`, 'o=bind'];

  test('are found and used through the other engine, with the scope global', async () => {
    await here().create(...onShare());
    expect(await here().inspect()).toMatchObject({ Scope: 'global' });
    expect(await there().inspect()).toMatchObject({ Scope: 'global', Driver: driver() });
    await here().inContainer('echo written > /data/file');
    expect(await there().inContainer('cat /data/file; echo more > /data/there')).toBe('written');
    expect(await here().inContainer('cat /data/there')).toBe('more');
    await there().remove();
    expect(await refusal(here().inspect())).toContain('no such volume');
    expect(readFileSync(join(shared, 'data/file'), 'utf8')).toBe('written\n');
  });

  test('are mounted by a service of the swarm of the other engine, by name alone', async () => {
    await here().create(...onShare());
    await other.docker(['swarm', 'init', '--advertise-addr', '127.0.0.1']);
    const mount = `type=volume,src=${name},dst=/data,volume-driver=${driver()}`;
    const script = 'echo from the service > /data/service; exec sleep 1000';
    await other.docker([
      ...['service', 'create', '--detach', '--name', name, '--network', 'host', '--mount', mount],
      ...['busybox', 'sh', '-c', script],
    ]);
    const file = join(shared, 'data/service');
    await expect.poll(() => (existsSync(file) ? readFileSync(file, 'utf8') : '')).toBe('from the service\n');
    expect(await here().inContainer('cat /data/service')).toBe('from the service');
    await other.docker(['service', 'rm', name]);
    await other.docker(['swarm', 'leave', '--force']);
    await removeContainers(other);
    await here().remove();
  });

  test('are refused when their storage is local to one host', async () => {
    expect(await refusal(here().create('size=40m'))).toContain('alone');
    expect(await refusal(there().inspect())).toContain('no such volume');
  });

  test('are recreated with other options after the other engine removed them', async () => {
    await here().create(...onShare());
    await here().inContainer('true');
    await there().inContainer('true');
    await here().remove();
    await there().create('type=none', `device=${join(shared, 'second')}`, 'o=bind', 'create=true');
    await there().inContainer('echo second > /data/file');
    expect(await here().inContainer('cat /data/file')).toBe('second');
    await here().remove();
  });

  test('do not count as gone while the folder of the records is away', async () => {
    await here().create(...onShare());
    const [records, away] = [join(shared, 'records'), join(shared, 'away')];
    await rename(records, away);
    await mkdir(records, { mode: 0o700 });
    const found = here().inspect();
    await sleep(2000);
    rmSync(records, { recursive: true });
    await rename(away, records);
    expect(await found).toMatchObject({ Scope: 'global' });
    await here().remove();
  });
});

describe('a plugin whose storage fails or hangs', () => {
  test('makes the engine forget nothing: a failed lookup is repeated until it works', async () => {
    await using failing = await serveDirectories();
    await docker(['volume', 'create', '-d', failing.driver, '--label', 'env=prod', name]);
    failing.volumes.failing = true;
    const found = volume.inspect();
    await sleep(2500);
    failing.volumes.failing = false;
    expect(await found).toMatchObject({ Driver: failing.driver, Labels: { env: 'prod' } });
    await docker(['volume', 'rm', name]);
  });

  test('lists and finds other volumes during a slow mount', async () => {
    await using slow = await serveDirectories();
    const released = Promise.withResolvers<void>();
    const { mount } = slow.volumes;
    slow.volumes.mount = async (volume, id) => {
      if (volume === name) await released.promise;
      return await mount(volume, id);
    };
    await docker(['volume', 'create', '-d', slow.driver, name]);
    await docker(['volume', 'create', '-d', slow.driver, `${name}-other`]);
    const started = volume.inContainer('echo late');
    await sleep(1000);
    const other = new PluginVolume(docker, { name: `${name}-other`, driver: slow.driver });
    const listed = other.inContainer('echo at once');
    expect(await Promise.race([listed, sleep(60_000)])).toBe('at once');
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}-other`])).toBe(`${name}-other`);
    released.resolve();
    expect(await started).toBe('late');
    await docker(['volume', 'rm', name, `${name}-other`]);
  });
});

/** The protocol over plain directories, in this process, so that a test can make them fail. */
async function serveDirectories() {
  const driver = `hf${randomBytes(4).toString('hex')}`;
  const socket = join(engine.pluginFolder, `${driver}.sock`);
  const volumes = directoryVolumes(join(engine.folder, driver));
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const served = servePlugin(async () => volumes, {
    socket: { path: socket, mode: 0o660 },
    stateDir: engine.folder,
    signal: stop.signal,
    say: () => undefined,
    onReady: ready.resolve,
  });
  await Promise.race([ready.promise, served]);
  return {
    driver,
    volumes,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await served;
      rmSync(`${socket}.lock`, { force: true });
    },
  };
}

async function untilRunning(container: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const state = await docker(['inspect', '-f', '{{.State.Running}}', container]).catch(() => '');
    if (state === 'true') return;
    await sleep(100);
  }
  throw new Error(`"${container}" does not run`);
}
