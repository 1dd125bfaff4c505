import { randomBytes } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildPlugin } from '../../scripts/plugin/build-plugin.ts';
import { runCommand } from '../../scripts/run-command.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { mountPoints } from '../setup/leftovers.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';

/** The plugin as `docker plugin create` takes it: a container that the engine itself starts, and starts again. */
const driver = 'holdfast-test';
let engine: PrivateEngine;
let docker: PrivateEngine['docker'];
let stateDir: string;
let built: string;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasSharedMounts: true });
  docker = engine.docker;
  await engine.importBusybox();
  built = join(engine.folder, 'plugin');
  await buildPlugin({ target: built, extras: ['xfs', 'btrfs'] });
  stateDir = join(engine.folder, 'state');
  mkdirSync(stateDir);
  await install(engine);
});
afterAll(async () => {
  if (engine === undefined) return;
  await removeContainers(engine);
  await docker(['plugin', 'rm', '-f', driver]).catch(() => undefined);
  // Nothing can be made in a place of a mount, and nothing removed.
  await runCommand('chattr', ['-R', '-f', '-i', stateDir]);
  await engine[Symbol.asyncDispose]();
});
let name: string;
beforeEach(() => {
  name = `v${randomBytes(4).toString('hex')}`;
});
afterEach(() => removeContainers(engine));

async function install(on: PrivateEngine): Promise<void> {
  await on.docker(['plugin', 'create', driver, built]);
  await on.docker(['plugin', 'set', driver, `state.source=${stateDir}`]);
  await on.docker(['plugin', 'enable', driver]);
}

async function removeContainers(on: PrivateEngine): Promise<void> {
  const ids = (await on.docker(['ps', '-aq'])).split('\n').filter(Boolean);
  if (ids.length > 0) await on.docker(['rm', '-f', ...ids]);
}

const create = (...options: string[]): Promise<string> =>
  docker(['volume', 'create', '-d', driver, ...options.flatMap((option) => ['-o', option]), name]);
const inContainer = (script: string): Promise<string> =>
  docker(['run', '--rm', '-v', `${name}:/data`, 'busybox', 'sh', '-c', script]);
const keepRunning = (container: string, ...more: string[]): Promise<string> =>
  docker(['run', '-d', '--name', container, ...more, '-v', `${name}:/data`, 'busybox', 'sleep', '10000']);
const inspect = async (): Promise<Inspected> =>
  (JSON.parse(await docker(['volume', 'inspect', name])) as [Inspected])[0];
const status = async (): Promise<unknown> => (await inspect()).Status;

interface Inspected {
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Status: { readonly mounts: number; readonly mounted: boolean };
}

/** The plugin's process: the one that sees this engine's state folder as its own. */
function pluginProcess(): number {
  const found = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .find((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--state-from') &&
          readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(` ${stateDir} `)
        );
      } catch {
        return false;
      }
    });
  if (found === undefined) throw new Error('the plugin does not run');
  return Number(found);
}

/** What lies in the plugin's own folders when nothing is mounted there: it would go with the plugin. */
const keptInPlugin = (): string[] =>
  globSync('plugins/*/{propagated-mount/state,rootfs/var/lib/holdfast,rootfs/published}/*', {
    cwd: engine.dataRoot,
  });

const volumeMounts = (): string[] => mountPoints().filter((path) => path.endsWith(`/volumes/${name}/_data`));

describe('a volume of the managed plugin', () => {
  test.each([
    ['a plain directory', []],
    ['an image with a size', ['size=40m']],
    ['an image with XFS', ['size=320m', 'fs=xfs']],
    ['an image with btrfs', ['size=128m', 'fs=btrfs']],
  ])(
    'on %s keeps in the host’s state folder what a container writes for the next one',
    async (_, options) => {
      await create(...options);
      await inContainer('echo kept > /data/file && chown 7:8 /data/file');
      expect(await inContainer('cat /data/file; stat -c %u:%g /data/file')).toBe('kept\n7:8');
      expect(await status()).toMatchObject({ mounts: 0 });
      expect(existsSync(join(stateDir, 'volumes', name, '_data'))).toBe(true);
      expect(volumeMounts()).toEqual([]);
    },
  );

  test('has the size that was asked for', async () => {
    await create('size=40m');
    const kilobytes = Number(await inContainer("df -k /data | tail -1 | awk '{print $2}'"));
    expect(kilobytes).toBeGreaterThan(20_000);
    expect(kilobytes).toBeLessThan(41_000);
  });

  test('in memory is the same for all containers, and gone with the last one', async () => {
    await create('type=tmpfs', 'size=8m');
    await keepRunning(`${name}-one`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo fleeting > /data/file']);
    expect(await inContainer('cat /data/file')).toBe('fleeting');
    await docker(['rm', '-f', `${name}-one`]);
    expect(await inContainer('ls /data')).toBe('');
  });

  test('goes to the trash with its data when it is removed', async () => {
    await create();
    await inContainer('echo precious > /data/file');
    await docker(['volume', 'rm', name]);
    const [trashed = ''] = readdirSync(join(stateDir, 'trash')).filter((entry) =>
      entry.startsWith(`${name}.`),
    );
    expect(readFileSync(join(stateDir, 'trash', trashed, '_data/file'), 'utf8')).toBe('precious\n');
  });

  test.each([
    ['a path of the host', ['type=none', 'o=bind', 'device=/srv/data', 'create=true'], '/srv/data'],
    ['an image in a path of the host', ['type=ext4', 'device=/dev/../srv/image'], '/srv/image'],
    ['a program that would end with the plugin', ['type=gocryptfs'], 'gocryptfs'],
  ])('is refused where it would need %s, with the reason', async (_, options, word) => {
    const refused = await create(...options).catch((error: unknown) => (error as { stderr: string }).stderr);
    expect(refused).toContain('managed plugin');
    expect(refused).toContain(word);
    expect(await docker(['volume', 'ls', '-q', '-f', `name=${name}`])).toBe('');
  });
});

describe('a managed plugin that ends', () => {
  test('by force disturbs no container; the engine starts it again, and it counts right', async () => {
    await create('size=40m');
    await keepRunning(`${name}-one`);
    await keepRunning(`${name}-two`);
    await docker(['exec', `${name}-one`, 'sh', '-c', 'echo before > /data/file']);
    const killed = pluginProcess();
    process.kill(killed, 'SIGKILL');
    expect(await docker(['exec', `${name}-two`, 'cat', '/data/file'])).toBe('before');
    await expect.poll(pluginProcess, { timeout: 30_000 }).not.toBe(killed);
    expect(await status()).toMatchObject({ mounts: 2, mounted: true });
    expect(await inContainer('cat /data/file')).toBe('before');
    await docker(['rm', '-f', `${name}-one`]);
    expect(await status()).toMatchObject({ mounts: 1, mounted: true });
    await docker(['rm', '-f', `${name}-two`]);
    expect(await status()).toMatchObject({ mounts: 0, mounted: false });
    expect(volumeMounts()).toEqual([]);
  });

  test('and is disabled and enabled under a container has its volumes as they were', async () => {
    await create('size=40m');
    await keepRunning(name);
    await docker(['plugin', 'disable', '-f', driver]);
    expect(keptInPlugin()).toEqual([]);
    await docker(['exec', name, 'sh', '-c', 'echo meanwhile > /data/file']);
    await docker(['plugin', 'enable', driver]);
    expect(await inContainer('cat /data/file')).toBe('meanwhile');
    await docker(['rm', '-f', name]);
    expect(await status()).toMatchObject({ mounts: 0, mounted: false });
    expect(await inContainer('cat /data/file')).toBe('meanwhile');
  });

  test('and is removed for another one takes no volume with it', async () => {
    await create('size=40m');
    const plain = `${name}-plain`;
    await docker(['volume', 'create', '-d', driver, plain]);
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
    await docker(['plugin', 'rm', '-f', driver]);
    expect(await docker(['exec', name, 'cat', '/data/file', '/plain/file'])).toBe('sized\nplain');
    expect(readFileSync(join(stateDir, 'volumes', plain, '_data/file'), 'utf8')).toBe('plain\n');
    await install(engine);
    expect(await inContainer('cat /data/file')).toBe('sized');
    await docker(['rm', '-f', name]);
    expect(volumeMounts()).toEqual([]);
    expect(await docker(['run', '--rm', '-v', `${plain}:/data`, 'busybox', 'cat', '/data/file'])).toBe(
      'plain',
    );
  });
});

describe('an engine with the managed plugin that starts again', () => {
  test('knows the volumes with their labels and options, and mounts them for what it starts', async () => {
    await docker(['volume', 'create', '-d', driver, '-o', 'size=40m', '--label', 'env=prod', name]);
    await keepRunning(name, '--restart', 'always');
    await docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
    await engine.restart('SIGTERM');
    expect(await inspect()).toMatchObject({ Labels: { env: 'prod' }, Options: { size: '40m' } });
    await expect
      .poll(() => docker(['exec', name, 'cat', '/data/file']).catch(() => ''), { timeout: 30_000 })
      .toBe('kept');
    await docker(['rm', '-f', name]);
    expect(await status()).toMatchObject({ mounts: 0, mounted: false });
  });

  test('after a crash has the data, and lets go of what its dead containers held', async () => {
    await docker(['volume', 'create', '-d', driver, '-o', 'size=40m', '--label', 'env=prod', name]);
    await keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo kept > /data/file; sync']);
    await engine.restart('SIGKILL');
    await docker(['rm', '-f', name]);
    expect(await inContainer('cat /data/file')).toBe('kept');
    await expect.poll(status, { timeout: 60_000 }).toMatchObject({ mounts: 0, mounted: false });
    expect(await inspect()).toMatchObject({ Labels: { env: 'prod' } });
    await docker(['volume', 'rm', name]);
  });
});

describe('the command on the host, which does not see what the plugin mounts', () => {
  test.each([
    ['an image', ['size=40m']],
    ['memory', ['type=tmpfs', 'size=8m']],
  ])('reads nothing in place of %s that containers use, and touches none of it', async (_, options) => {
    await create(...options);
    await keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo shared > /data/file']);
    const holdfast = holdfastCommand(stateDir);
    for (const words of [
      ['volume', 'cat', name, 'file'],
      ['volume', 'resize', name, '20m'],
      ['volume', 'rm', name, '--yes'],
    ])
      expect(await holdfast.attempt(...words)).toMatchObject({ exitCode: 5 });
    expect((await holdfast.attempt('volume', 'cat', name, 'file')).output).toContain('managed plugin');
    // Opening the volumes mounts again what is held and not mounted, where it is seen.
    expect(volumeMounts().filter((path) => !path.includes('/propagated-mount/'))).toEqual([]);
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('shared');
    expect(await status()).toMatchObject({ mounts: 1, mounted: true });
    await docker(['rm', '-f', name]);
    expect(volumeMounts()).toEqual([]);
  });

  test('reads a plain directory, makes volumes, and gives back from the trash what Docker removed', async () => {
    const holdfast = holdfastCommand(stateDir);
    await holdfast.run('volume', 'create', name);
    const volume = `type=volume,source=${name},target=/data,volume-driver=${driver}`;
    await docker(['run', '--rm', '--mount', volume, 'busybox', 'sh', '-c', 'echo made > /data/file']);
    await docker(['volume', 'rm', name]);
    await holdfast.run('trash', 'restore', name);
    expect(await holdfast.run('volume', 'cat', name, 'file')).toBe('made\n');
  });

  test('leaves alone what containers still use of a plugin that was disabled under them', async () => {
    await create('size=40m');
    await keepRunning(name);
    await docker(['exec', name, 'sh', '-c', 'echo used > /data/file']);
    await docker(['plugin', 'disable', '-f', driver]);
    const refused = await holdfastCommand(stateDir).attempt('volume', 'resize', name, '20m');
    expect(refused.exitCode).toBe(5);
    expect(refused.output).toContain('containers may still have it');
    await docker(['plugin', 'enable', driver]);
    expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('used');
    await docker(['rm', '-f', name]);
  });
});

test('a backup through the engine has what containers have written', async () => {
  await create('size=40m');
  await keepRunning(name);
  await docker(['exec', name, 'sh', '-c', 'echo saved > /data/file']);
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost };
  const holdfast = holdfastCommand(join(engine.folder, `${name}-backups`), env);
  await holdfast.run('init');
  await holdfast.run('backup', name);
  expect(await holdfast.run('dump', name, 'file')).toBe('saved\n');
  expect(await docker(['exec', name, 'cat', '/data/file'])).toBe('saved');
});

test('the command on the host sees the volumes of a plugin that is disabled', async () => {
  await create('size=40m');
  await inContainer('echo shared > /data/file');
  await docker(['plugin', 'disable', '-f', driver]);
  try {
    expect(await holdfastCommand(stateDir).run('volume', 'cat', name, 'file')).toBe('shared\n');
  } finally {
    await docker(['plugin', 'enable', driver]);
  }
  expect(await inContainer('cat /data/file')).toBe('shared');
});

test('containers that outlive their engine keep the volumes of its managed plugin', async () => {
  await using living = await startPrivateEngine({ args: ['--live-restore'] });
  await living.importBusybox();
  await docker(['plugin', 'disable', '-f', driver]);
  await install(living);
  try {
    const volume = ['-v', `${name}:/data`];
    await living.docker(['volume', 'create', '-d', driver, '-o', 'size=40m', name]);
    await living.docker(['run', '-d', '--name', name, ...volume, 'busybox', 'sleep', '10000']);
    await living.docker(['exec', name, 'sh', '-c', 'echo kept > /data/file']);
    await living.restart('SIGTERM');
    expect(await living.docker(['exec', name, 'cat', '/data/file'])).toBe('kept');
    expect(await living.docker(['run', '--rm', ...volume, 'busybox', 'cat', '/data/file'])).toBe('kept');
    await living.docker(['rm', '-f', name]);
    expect(await living.docker(['volume', 'inspect', '-f', '{{.Status.mounts}}', name])).toBe('0');
    await living.docker(['volume', 'rm', name]);
    expect(volumeMounts()).toEqual([]);
  } finally {
    await removeContainers(living);
    await living.docker(['plugin', 'rm', '-f', driver]);
    await docker(['plugin', 'enable', driver]);
  }
});
