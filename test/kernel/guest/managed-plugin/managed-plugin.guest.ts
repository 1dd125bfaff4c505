import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ManagedPlugin } from '../../../docker/managed-plugin.ts';
import { PluginVolume, removeContainers } from '../../../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../../../docker/private-engine.ts';
import { type NfsServer, startNfsServer } from '../nfs-server.ts';
import { login, type SambaServer, startSambaServer } from '../samba-server.ts';

let engine: PrivateEngine;
let plugin: ManagedPlugin;
let nfs: NfsServer;
let samba: SambaServer;

beforeAll(async () => {
  [nfs, samba] = await Promise.all([startNfsServer(), startSambaServer()]);
  engine = await startPrivateEngine({ hasSharedMounts: true, usesMachineNetwork: true });
  await engine.importBusybox();
  plugin = new ManagedPlugin(engine, { built: '/exchange/plugin', stateDir: join(engine.folder, 'state') });
  await plugin.install();
});

afterEach(() => removeContainers(engine));

afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
  await samba?.[Symbol.asyncDispose]();
  await nfs?.[Symbol.asyncDispose]();
});

describe.each([
  ['luks', async () => ['type=luks', 'size=40m']],
  [
    'nfs',
    async () => ['type=nfs', 'o=addr=127.0.0.1,rw,nfsvers=4.2', `device=:${(await nfs.newExport()).path}`],
  ],
  ['cifs', async () => ['type=cifs', `device=${await samba.newShare()}`, `credentials=file:${loginFile()}`]],
])('a volume on the driver %s of the managed plugin', (kind, options) => {
  let volume: PluginVolume;
  beforeAll(() => {
    const name = `${kind}-${randomBytes(2).toString('hex')}`;
    volume = new PluginVolume(engine.docker, { name, driver: plugin.driver });
  });
  const read = (): Promise<string> => volume.inContainer('cat /data/file');
  const inRunning = (script: string): Promise<string> =>
    engine.docker(['exec', volume.name, 'sh', '-c', script]);

  test('is written to by one container and read by the next', async () => {
    await volume.create(...(await options()));
    await volume.inContainer('echo content > /data/file');
    expect(await read()).toBe('content');
    expect(await volume.status()).toMatchObject({ kind, mounts: 0, mounted: false });
    expect(volume.mounts()).toEqual([]);
  });

  test('is there for a container whose plugin is killed, and goes after it', async () => {
    await volume.keepRunning(volume.name);
    const killed = plugin.process();
    process.kill(killed, 'SIGKILL');
    await inRunning('echo without >> /data/file');
    await expect.poll(() => plugin.process(), { timeout: 200_000 }).not.toBe(killed);
    expect(await volume.status()).toMatchObject({ mounts: 1, mounted: true });
    expect(await read()).toBe('content\nwithout');
    await engine.docker(['rm', '-f', volume.name]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
    expect(volume.mounts()).toEqual([]);
  });

  test('is there for a container whose plugin is disabled and enabled, and goes after it', async () => {
    await volume.keepRunning(volume.name);
    await plugin.disable();
    await inRunning('echo disabled >> /data/file');
    await plugin.enable();
    expect(await read()).toBe('content\nwithout\ndisabled');
    await engine.docker(['rm', '-f', volume.name]);
    expect(await volume.status()).toMatchObject({ mounts: 0, mounted: false });
    expect(volume.mounts()).toEqual([]);
  });

  test('has its data when the plugin was disabled and enabled while not in use', async () => {
    await plugin.disable();
    expect(plugin.keptInPlugin()).toEqual([]);
    await plugin.enable();
    expect(await read()).toBe('content\nwithout\ndisabled');
  });

  test('is removed', async () => {
    await volume.remove();
    expect(await engine.docker(['volume', 'ls', '-q'])).not.toContain(volume.name);
    expect(existsSync(join(plugin.stateDir, 'volumes', volume.name))).toBe(false);
  });
});

/** In the state folder, the only part of the host that the plugin sees. */
function loginFile(): string {
  mkdirSync(join(plugin.stateDir, 'logins'), { recursive: true, mode: 0o700 });
  const text = `username=${login.username}\npassword=${login.password}\n`;
  writeFileSync(join(plugin.stateDir, 'logins/guest'), text, { mode: 0o600 });
  return '/var/lib/holdfast/logins/guest';
}
