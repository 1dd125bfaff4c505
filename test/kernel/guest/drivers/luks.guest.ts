import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { describeDriver } from '../../../suites/driver-contract.ts';
import type { Driver, DriverVolume } from '../../../../src/drivers/driver.ts';
import { openDrivers } from '../../../../src/drivers/open-drivers.ts';
import { runProgram } from '../../../../src/lib/run-program.ts';

const secrets: Record<string, string> = { 'env:ONE': 'one', 'env:TWO': 'two' };
const open = (folder: string): Promise<Driver> =>
  openDrivers({
    stateDir: join(folder, 'state'),
    secret: async (reference) => Buffer.from(secrets[reference] ?? ''),
  }).get('luks');
const known = 'KNOWN PLAINTEXT THAT MUST BE NOWHERE '.repeat(4000);

describeDriver('luks', { open, options: () => ({ size: '40m' }), keepsOwners: true, refused: [] });

describe('luks', () => {
  test('leaves no plaintext in its image, and is closed with the unmount', async () => {
    await using one = await makeVolume({ size: '48m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'a-telling-name'), known);
    await one.driver.unmount(one.volume);
    for (const words of ['KNOWN PLAINTEXT', 'telling-name']) {
      const found = await runProgram('grep', ['-c', '-a', words, join(one.volume.folder, 'image')]);
      expect(found.stdout.trim()).toBe('0');
    }
    expect(await mappings()).not.toContain('holdfast-');
    await one.driver.mount(one.volume);
    expect(await readFile(join(one.volume.mountpoint, 'a-telling-name'), 'utf8')).toBe(known);
  });

  test('a rotation lets the old key in no more, and keeps the data', async () => {
    await using one = await makeVolume({ size: '40m', key: 'env:ONE' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    const before = await readFile(join(one.volume.folder, 'key.json'));
    expect(await one.driver.rotate?.(one.volume, { key: 'env:TWO' })).toMatchObject({ key: 'env:TWO' });
    await one.driver.mount(one.volume);
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
    await one.driver.unmount(one.volume);
    await writeFile(join(one.volume.folder, 'key.json'), before);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'wrong-password' });
  });

  test('rotations that are killed at any moment lose neither the data nor count of the keys', async () => {
    await using one = await makeVolume({ size: '40m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    for (const afterMs of [0, 60, 120, 200, 300, 450, 700]) {
      const child = await startRotations(one.volume);
      await sleep(afterMs);
      // Together with the cryptsetup that it has started, like a power cut.
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await once(child, 'exit');
      await one.driver.mount(one.volume);
      expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
      await one.driver.unmount(one.volume);
    }
    await one.driver.rotate?.(one.volume, { key: undefined });
    expect(await countKeys(one.volume)).toBe(1);
  });

  test('a copy of its key and of the key that wraps it opens it on a machine that has lost both', async () => {
    await using one = await makeVolume({ size: '40m' });
    await one.driver.create(one.volume);
    const files = [join(one.volume.folder, 'key.json'), join(one.volume.folder, '../state/keys/volumes.key')];
    const copies = await Promise.all(files.map((file) => readFile(file)));
    for (const [index, code] of (['integrity', 'not-found'] as const).entries()) {
      const file = files[index] ?? '';
      await rm(file);
      await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code });
      await writeFile(file, copies[index] ?? '');
    }
    await one.driver.mount(one.volume);
    expect(await one.driver.health(one.volume, { isMounted: true })).toMatchObject({ status: 'good' });
  });

  test('on a device is made, opened and closed as in an image', async () => {
    await using device = await loopDevice(48 << 20);
    await using one = await makeVolume({ device: device.path, format: 'true', fs: 'ext4' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), known);
    await one.driver.unmount(one.volume);
    const found = await runProgram('grep', ['-c', '-a', 'KNOWN PLAINTEXT', device.path]);
    expect(found.stdout.trim()).toBe('0');
    await one.driver.mount(one.volume);
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe(known);
    await one.driver.unmount(one.volume);
    await one.driver.erase?.(one.volume);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('after its keys were erased, no saved key opens it', async () => {
    await using one = await makeVolume({ size: '40m' });
    await one.driver.create(one.volume);
    const saved = join(one.volume.folder, '..', 'saved.json');
    await copyFile(join(one.volume.folder, 'key.json'), saved);
    await one.driver.erase?.(one.volume);
    await copyFile(saved, join(one.volume.folder, 'key.json'));
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'integrity' });
    expect(await mappings()).not.toContain('holdfast-');
  });

  test('grows while it is in use', async () => {
    await using one = await makeVolume({ size: '64m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    const before = await one.driver.usage?.(one.volume);
    expect(await one.driver.resize?.(one.volume, { sizeBytes: 160 << 20, isMounted: true })).toMatchObject({
      size: String(160 << 20),
    });
    const after = await one.driver.usage?.(one.volume);
    expect((after?.totalBytes ?? 0) - (before?.totalBytes ?? 0)).toBeGreaterThan(70 << 20);
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
  });

  test('an image of another volume is not opened by this key', async () => {
    await using one = await makeVolume({ size: '40m' });
    await using two = await makeVolume({ size: '40m' });
    for (const { driver, volume } of [one, two]) await driver.create(volume);
    await copyFile(join(two.volume.folder, 'image'), join(one.volume.folder, 'image'));
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'wrong-password' });
  });
});

/** Rotates again and again, in its own process group; has begun when this returns. */
async function startRotations(volume: DriverVolume): Promise<ChildProcess> {
  const program = `
    import { openDrivers } from '${join(import.meta.dirname, '../../../../src/drivers/open-drivers.ts')}';
    const stateDir = ${JSON.stringify(join(volume.folder, '../state'))};
    const driver = await openDrivers({ stateDir, secret: async () => new Uint8Array() }).get('luks');
    console.log('begun');
    for (;;) await driver.rotate(${JSON.stringify(volume)}, { key: undefined });
  `;
  const script = join(volume.folder, '..', 'rotate.ts');
  await writeFile(script, program);
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  await once(child.stdout, 'data');
  return child;
}

async function countKeys({ folder }: DriverVolume): Promise<number> {
  const args = ['luksDump', '--dump-json-metadata', join(folder, 'image')];
  const { keyslots } = JSON.parse((await runProgram('cryptsetup', args)).stdout) as { keyslots: object };
  return Object.keys(keyslots).length;
}

async function loopDevice(sizeBytes: number): Promise<AsyncDisposable & { path: string }> {
  const file = join(await mkdtemp(join(tmpdir(), 'device-')), 'file');
  await writeFile(file, '');
  await truncate(file, sizeBytes);
  const { stdout, stderr } = await runProgram('losetup', ['--find', '--show', file]);
  if (stderr !== '') throw new Error(stderr);
  const path = stdout.trim();
  return {
    path,
    async [Symbol.asyncDispose]() {
      await runProgram('losetup', ['--detach', path]);
      await rm(join(file, '..'), { recursive: true });
    },
  };
}

async function mappings(): Promise<string> {
  return (await runProgram('dmsetup', ['ls'])).stdout;
}

async function makeVolume(options: Record<string, string>) {
  const parent = await mkdtemp(join(tmpdir(), 'luks-'));
  const folder = join(parent, 'volume');
  await mkdir(join(folder, '_data'), { recursive: true });
  const driver = await open(parent);
  const volume: DriverVolume = {
    name: 'some-volume',
    options: driver.check(options),
    folder,
    mountpoint: join(folder, '_data'),
  };
  return {
    driver,
    volume,
    async [Symbol.asyncDispose]() {
      if ((await stat(folder).catch(() => undefined)) !== undefined) await driver.unmount(volume);
      await driver.remove(volume);
      await rm(parent, { recursive: true, force: true });
    },
  };
}
