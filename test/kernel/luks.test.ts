import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeDriver } from '../../src/drivers/driver.contract.ts';
import type { Driver, DriverVolume } from '../../src/drivers/driver.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { runProgram } from '../../src/lib/run-program.ts';

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
