import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runProgram } from '../../../../src/lib/run-program.ts';
import { PluginService } from '../../../docker/plugin-service.ts';
import { PluginVolume, removeContainers } from '../../../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../../../docker/private-engine.ts';

const settled = { timeout: 200_000 };

/** Our open encrypted devices. */
async function openDevices(): Promise<string[]> {
  const { stdout } = await runProgram('dmsetup', ['ls', '--target', 'crypt']);
  return stdout.split('\n').filter((line) => line.startsWith('holdfast-'));
}

describe.each([
  ['ends its containers when it ends', []],
  ['leaves its containers running when it ends', ['--live-restore']],
])('an engine that %s', (_what, args) => {
  const keepsRunning = args.length > 0;
  let engine: PrivateEngine;
  let plugin: PluginService;
  let volume: PluginVolume;
  let container: string;

  beforeAll(async () => {
    engine = await startPrivateEngine({ args, usesMachineNetwork: true });
    await engine.importBusybox();
    plugin = new PluginService(join(engine.folder, 'state'), { socketFolder: '/run/docker/plugins' });
    await plugin.start();
  });
  afterAll(async () => {
    await removeContainers(engine).catch(() => undefined);
    await plugin[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    container = `c${randomBytes(3).toString('hex')}`;
    volume = new PluginVolume(engine.docker, { name: `v${container}`, driver: plugin.driver });
    await volume.create('type=luks', 'size=40m');
  });

  const inRunning = (script: string): Promise<string> =>
    engine.docker(['exec', container, 'sh', '-c', script]);
  const isRunning = async (): Promise<boolean> =>
    (await engine.docker(['inspect', '-f', '{{.State.Running}}', container])) === 'true';

  /** No process has it any more: neither a mount nor an open device is left, and it can be mounted again. */
  async function expectLetGo(content: string): Promise<void> {
    await engine.docker(['rm', '-f', container]);
    await expect.poll(() => volume.status(), settled).toMatchObject({ mounts: 0, mounted: false });
    expect(volume.mounts()).toEqual([]);
    // The device is closed after the unmount, which takes cryptsetup a moment.
    await expect.poll(openDevices, settled).toEqual([]);
    expect(await volume.inContainer('cat /data/file')).toBe(content);
    await volume.remove();
    expect(await openDevices()).toEqual([]);
  }

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'by %s has an encrypted volume as its containers need it',
    async (signal) => {
      await volume.keepRunning(container);
      await inRunning('echo before > /data/file; sync');
      await engine.restart(signal);
      expect(await isRunning()).toBe(keepsRunning);
      if (keepsRunning) {
        expect(await inRunning('echo after >> /data/file; cat /data/file')).toBe('before\nafter');
        expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
      }
      await expectLetGo(keepsRunning ? 'before\nafter' : 'before');
    },
  );

  test('mounts it again for a container that is always started', async () => {
    await volume.keepRunning(container, '--restart', 'always');
    await inRunning('echo before > /data/file; sync');
    await engine.restart('SIGTERM');
    await expect.poll(() => inRunning('cat /data/file').catch(() => ''), settled).toBe('before');
    await expect.poll(() => volume.status(), settled).toMatchObject({ mounts: 1, mounted: true });
    await expectLetGo('before');
  });

  test('starts again while the plugin is dead, which then has it as the containers need it', async () => {
    await volume.keepRunning(container);
    await inRunning('echo before > /data/file; sync');
    await plugin.end('SIGKILL');
    const restarted = engine.restart('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await plugin.start();
    await restarted;
    expect(await isRunning()).toBe(keepsRunning);
    if (keepsRunning) expect(await inRunning('cat /data/file')).toBe('before');
    await expectLetGo('before');
  });

  test('and whose plugin is killed and started again under two containers counts right', async () => {
    await volume.keepRunning(container);
    await volume.keepRunning(`${container}-other`);
    await inRunning('echo before > /data/file; sync');
    await plugin.end('SIGKILL');
    expect(await inRunning('echo without >> /data/file; cat /data/file')).toBe('before\nwithout');
    await plugin.start();
    expect(await volume.status()).toMatchObject({ mounts: 2, mounted: true });
    await engine.docker(['rm', '-f', `${container}-other`]);
    expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
    expect(await openDevices()).toHaveLength(1);
    await expectLetGo('before\nwithout');
  });
});
