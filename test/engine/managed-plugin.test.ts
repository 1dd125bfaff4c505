import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildPlugin } from '../../scripts/plugin/build-plugin.ts';
import { ManagedPlugin } from '../docker/managed-plugin.ts';
import { PluginVolume, removeContainers } from '../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';

let engine: PrivateEngine;
let docker: PrivateEngine['docker'];
let plugin: ManagedPlugin;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasSharedMounts: true });
  docker = engine.docker;
  await engine.importBusybox();
  const built = join(engine.folder, 'plugin');
  await buildPlugin({ target: built, extras: ['xfs', 'btrfs'] });
  plugin = new ManagedPlugin(engine, { built, stateDir: join(engine.folder, 'state') });
  await plugin.install();
});
afterAll(async () => {
  if (engine === undefined) return;
  await removeContainers(engine);
  await plugin?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});
let name: string;
let volume: PluginVolume;
beforeEach(async ({ task }) => {
  // A plugin that an attempt has left without its state folder would fail all tests after it.
  const isHere = (await docker(['plugin', 'ls', '-q', '-f', 'enabled=true'])) !== '';
  if ((task.result?.retryCount ?? 0) > 0 && isHere) {
    await plugin.disable();
    await plugin.enable();
  }
  name = `v${randomBytes(4).toString('hex')}`;
  volume = new PluginVolume(docker, { name, driver: plugin.driver });
});
afterEach(() => removeContainers(engine));

describe('a volume of the managed plugin', () => {
  test.each([
    ['a plain directory', []],
    ['an image with a size', ['size=40m']],
    ['an image with XFS', ['size=320m', 'fs=xfs']],
    ['an image with btrfs', ['size=128m', 'fs=btrfs']],
  ])(
    'on %s keeps in the host’s state folder what a container writes for the next one',
    async (_, options) => {
      await volume.create(...options);
      await volume.inContainer('echo kept > /data/file && chown 7:8 /data/file');
      expect(await volume.inContainer('cat /data/file; stat -c %u:%g /data/file')).toBe('kept\n7:8');
      expect(await volume.status()).toMatchObject({ mounts: 0 });
      expect(existsSync(join(plugin.stateDir, 'volumes', name, '_data'))).toBe(true);
      expect(volume.mounts()).toEqual([]);
    },
  );

  test('has the requested size', async () => {
    await volume.create('size=40m');
    const kilobytes = Number(await volume.inContainer("df -k /data | tail -1 | awk '{print $2}'"));
    expect(kilobytes).toBeGreaterThan(20_000);
    expect(kilobytes).toBeLessThan(41_000);
  });

  test('in memory is the same for all containers, and gone with the last one', async () => {
    await volume.create('type=tmpfs', 'size=8m');
    await volume.keepRunning(`${name}-one`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo fleeting > /data/file']);
    expect(await volume.inContainer('cat /data/file')).toBe('fleeting');
    await docker(['rm', '-f', `${name}-one`]);
    expect(await volume.inContainer('ls /data')).toBe('');
  });

  test('goes to the trash with its data when it is removed', async () => {
    await volume.create();
    await volume.inContainer('echo precious > /data/file');
    await docker(['volume', 'rm', name]);
    const [trashed = ''] = readdirSync(join(plugin.stateDir, 'trash')).filter((entry) =>
      entry.startsWith(`${name}.`),
    );
    expect(readFileSync(join(plugin.stateDir, 'trash', trashed, '_data/file'), 'utf8')).toBe('precious\n');
  });

  test.each([
    ['a path of the host', ['type=none', 'o=bind', 'device=/srv/data', 'create=true'], '/srv/data'],
    ['an image in a path of the host', ['type=ext4', 'device=/dev/../srv/image'], '/srv/image'],
    ['a program that would end with the plugin', ['type=gocryptfs'], 'gocryptfs'],
  ])('is refused where it would need %s, with the reason', async (_, options, word) => {
    const refused = await volume
      .create(...options)
      .catch((error: unknown) => (error as { stderr: string }).stderr);
    expect(refused).toContain('managed plugin');
    expect(refused).toContain(word);
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}`])).toBe('');
  });
});

describe('a managed plugin that exits', () => {
  test('by force disturbs no container; the engine restarts it, and it counts right', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(`${name}-one`);
    await volume.keepRunning(`${name}-two`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo before > /data/file']);
    const killed = plugin.process();
    process.kill(killed, 'SIGKILL');
    expect(await docker(['exec', `${name}-two`, 'cat', '/data/file'])).toBe('before');
    await expect.poll(() => plugin.process()).not.toBe(killed);
    expect(await volume.status()).toMatchObject({ mounts: 2, mounted: true });
    expect(await volume.inContainer('cat /data/file')).toBe('before');
    await docker(['rm', '-f', `${name}-one`]);
    expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
    await docker(['rm', '-f', `${name}-two`]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
    expect(volume.mounts()).toEqual([]);
  });

  test('and is disabled and enabled under a container keeps its volumes unchanged', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(name);
    await plugin.disable();
    expect(plugin.keptInPlugin()).toEqual([]);
    await docker(['exec', name, 'sh', '-c', 'echo meanwhile > /data/file']);
    await plugin.enable();
    expect(await volume.inContainer('cat /data/file')).toBe('meanwhile');
    await docker(['rm', '-f', name]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
    expect(await volume.inContainer('cat /data/file')).toBe('meanwhile');
  });

  test('and is removed for another one takes no volume with it', async () => {
    await volume.create('size=40m');
    const plain = `${name}-plain`;
    await docker(['volume', 'create', '-d', plugin.driver, plain]);
    await docker([
      'run',
      '-d',
      '--name',
      name,
      '-v',
      `${name}:/data`,
      '-v',
      `${plain}:/plain`,
      'busybox',
      'sleep',
      '10000',
    ]);
    await docker(['exec', name, 'sh', '-c', 'echo sized > /data/file; echo plain > /plain/file']);
    await plugin.remove();
    expect(await docker(['exec', name, 'cat', '/data/file', '/plain/file'])).toBe('sized\nplain');
    expect(readFileSync(join(plugin.stateDir, 'volumes', plain, '_data/file'), 'utf8')).toBe('plain\n');
    await plugin.install();
    expect(await volume.inContainer('cat /data/file')).toBe('sized');
    await docker(['rm', '-f', name]);
    expect(volume.mounts()).toEqual([]);
    const onPlain = new PluginVolume(docker, { name: plain, driver: plugin.driver });
    expect(await onPlain.inContainer('cat /data/file')).toBe('plain');
  });
});

describe('an engine with the managed plugin that starts again', () => {
  test('knows the volumes with their labels and options, and mounts them for what it starts', async () => {
    await docker(['volume', 'create', '-d', plugin.driver, '-o', 'size=40m', '--label', 'env=prod', name]);
    await volume.keepRunning(name, '--restart', 'always');
    await docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
    await engine.restart('SIGTERM');
    expect(await volume.inspect()).toMatchObject({ Labels: { env: 'prod' }, Options: { size: '40m' } });
    await expect.poll(() => docker(['exec', name, 'cat', '/data/file']).catch(() => '')).toBe('kept');
    await docker(['rm', '-f', name]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
  });

  test('after a crash has the data, and releases what its dead containers held', async () => {
    await docker(['volume', 'create', '-d', plugin.driver, '-o', 'size=40m', '--label', 'env=prod', name]);
    await volume.keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo kept > /data/file; sync']);
    await plugin.delayCleanUp();
    await engine.restart('SIGKILL');
    await docker(['rm', '-f', name]);
    expect(await volume.inContainer('cat /data/file')).toBe('kept');
    await expect.poll(() => volume.status()).toMatchObject({ mounts: 0, mounted: false });
    expect(await volume.inspect()).toMatchObject({ Labels: { env: 'prod' } });
    await docker(['volume', 'rm', name]);
  });
});

describe('the command on the host, which does not see what the plugin mounts', () => {
  test.each([
    ['an image', ['size=40m']],
    ['memory', ['type=tmpfs', 'size=8m']],
  ])('reads nothing in place of %s that containers use, and touches none of it', async (_, options) => {
    await volume.create(...options);
    await volume.keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo shared > /data/file']);
    const holdfast = holdfastCommand(plugin.stateDir);
    for (const words of [
      ['volume', 'cat', name, 'file'],
      ['volume', 'resize', name, '20m'],
      ['volume', 'rm', name, '--yes'],
    ])
      expect(await holdfast.attempt(...words)).toMatchObject({ exitCode: 5 });
    expect((await holdfast.attempt('volume', 'cat', name, 'file')).output).toContain('managed plugin');
    // Opening the volumes mounts held ones again, where it can see that they are not mounted.
    expect(volume.mounts().filter((path) => !path.includes('/propagated-mount/'))).toEqual([]);
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('shared');
    expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
    await docker(['rm', '-f', name]);
    expect(volume.mounts()).toEqual([]);
  });

  test('reads a plain directory, makes volumes, and restores from the trash what Docker removed', async () => {
    const holdfast = holdfastCommand(plugin.stateDir);
    await holdfast.run('volume', 'create', name);
    const mount = `type=volume,source=${name},target=/data,volume-driver=${plugin.driver}`;
    await docker(['run', '--rm', '--mount', mount, 'busybox', 'sh', '-c', 'echo made > /data/file']);
    await docker(['volume', 'rm', name]);
    await holdfast.run('trash', 'restore', name);
    expect(await holdfast.run('volume', 'cat', name, 'file')).toBe('made\n');
  });

  test('leaves alone what containers still use of a plugin that was disabled under them', async () => {
    await volume.create('size=40m');
    await volume.keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo used > /data/file']);
    await plugin.disable();
    const refused = await holdfastCommand(plugin.stateDir).attempt('volume', 'resize', name, '20m');
    expect(refused.exitCode).toBe(5);
    expect(refused.output).toContain('containers may still have it');
    await plugin.enable();
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('used');
    await docker(['rm', '-f', name]);
  });
});

test('a backup through the engine has what containers have written', async () => {
  await volume.create('size=40m');
  await volume.keepRunning(name);
  await docker(['exec', name, 'sh', '-c', 'echo saved > /data/file']);
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  const holdfast = holdfastCommand(join(engine.folder, `${name}-backups`), env);
  await holdfast.run('init');
  await holdfast.run('backup', name);
  expect(await holdfast.run('dump', name, 'file')).toBe('saved\n');
  expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('saved');
});

test('a volume whose plugin is turned off, or was removed, is told of until that is back, and is not left out of a backup', async () => {
  await volume.create();
  await volume.inContainer('echo kept > /data/file');
  await docker(['create', '--name', name, '-v', `${name}:/data`, 'busybox', 'true']);
  await docker(['volume', 'create', `${name}-local`]);
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  const holdfast = holdfastCommand(join(engine.folder, `${name}-backups`), env);
  await holdfast.run('init');
  const find = async (...asked: string[]) => {
    const { stdout } = await holdfast.attempt('doctor', ...asked, '--format', 'json');
    const { findings } = JSON.parse(stdout) as {
      readonly findings: readonly {
        readonly id: string;
        readonly subject: { readonly name: string };
        readonly message: string;
        readonly commands: readonly (readonly string[])[];
      }[];
    };
    return findings.filter(({ id, subject }) => id === 'HF-D017' && subject.name === name);
  };
  expect(await find()).toEqual([]);
  await plugin.disable();
  try {
    const [isOff] = await find();
    expect(isOff?.message).toContain(`its driver "${plugin.driver}:latest" is turned off`);
    const backedUp = await holdfast.attempt('backup', '--all');
    expect(backedUp).toMatchObject({ exitCode: 3 });
    expect(backedUp.output).toContain('found but disabled');
    expect(await holdfast.run('snapshots', `${name}-local`, '--quiet')).toMatch(/\S/);
    await docker(isOff?.commands[0]?.slice(1) ?? []);
  } catch (error) {
    await plugin.enable();
    throw error;
  }
  expect(await find()).toEqual([]);
  await plugin.remove();
  try {
    expect((await find())[0]?.message).toContain('is not there');
    await docker(['rm', name]);
    // The engine lists it nowhere now, and lets no other have its name.
    expect(await find()).toEqual([]);
    expect((await find(name))[0]?.message).toContain('is not there');
  } finally {
    await plugin.install();
  }
  expect(await find(name)).toEqual([]);
  expect(await volume.inContainer('cat /data/file')).toBe('kept');
});

test('the command on the host sees the volumes of a plugin that is disabled', async () => {
  await volume.create('size=40m');
  await volume.inContainer('echo shared > /data/file');
  await plugin.disable();
  try {
    expect(await holdfastCommand(plugin.stateDir).run('volume', 'cat', name, 'file')).toBe('shared\n');
  } finally {
    await plugin.enable();
  }
  expect(await volume.inContainer('cat /data/file')).toBe('shared');
});

describe('an engine that ends without its containers', () => {
  let living: PrivateEngine;
  let kept: PluginVolume;
  beforeAll(async () => {
    living = await startPrivateEngine({ args: ['--live-restore'] });
    await living.importBusybox();
    await plugin.disable();
    await plugin.install(living);
  });
  afterAll(async () => {
    if (living === undefined) return;
    await removeContainers(living);
    await plugin.remove(living);
    await living[Symbol.asyncDispose]();
    await plugin.enable();
  });
  beforeEach(async () => {
    kept = new PluginVolume(living.docker, { name, driver: plugin.driver });
    await kept.create('size=40m');
    await kept.keepRunning(name);
    await living.docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
  });
  /** In the container that has run all the time, and in another one; nothing is left mounted after them. */
  async function expectKept(): Promise<void> {
    expect(await living.docker(['exec', name, 'cat', '/data/file'])).toBe('kept');
    expect(await kept.inContainer('cat /data/file')).toBe('kept');
    await living.docker(['rm', '-f', name]);
    expect(await kept.status()).toMatchObject({ mounts: 0, mounted: false });
    await kept.remove();
    expect(kept.mounts()).toEqual([]);
  }

  test('leaves them the volumes of its managed plugin', async () => {
    await living.restart('SIGTERM');
    await expectKept();
  });

  test('starts the plugin anew that it no longer sees, which refuses a mount before', async () => {
    const unseen = plugin.process();
    await plugin.unmount(living);
    const refused = await kept.inContainer('true').catch((error: unknown) => String(error));
    expect(refused).toContain('The engine has taken away the mount by which it sees the volumes');
    await expect.poll(() => plugin.process(), { timeout: 60_000 }).not.toBe(unseen);
    await expectKept();
  });
});
