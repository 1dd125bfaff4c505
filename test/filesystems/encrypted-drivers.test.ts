import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeDriver } from '../suites/driver-contract.ts';
import type { Driver, DriverKind, DriverVolume } from '../../src/drivers/driver.ts';
import { makeImage } from '../../src/drivers/disk-image.ts';
import { openKeyWraps } from '../../src/drivers/keys/key-wraps.ts';
import { openVolumeKeys } from '../../src/drivers/keys/volume-key.ts';
import { addKey, cryptsetup, opensWith, removeKey } from '../../src/drivers/luks-mapping.ts';
import { luksDriver } from '../../src/drivers/luks.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { runProgram } from '../../src/lib/run-program.ts';

const secrets: Record<string, string> = { 'env:ONE': 'one', 'env:TWO': 'two' };
const open = (kind: DriverKind) => (folder: string) =>
  openDrivers({
    stateDir: join(folder, 'state'),
    secret: async (reference) => Buffer.from(secrets[reference] ?? ''),
  }).get(kind);

const known = 'KNOWN PLAINTEXT THAT MUST BE NOWHERE '.repeat(400);

describeDriver('gocryptfs', {
  open: open('gocryptfs'),
  options: () => ({}),
  keepsOwners: true,
  refused: [
    [{ key: 'hunter2' }, 'neither "master" nor a reference'],
    [{ size: '1g' }, 'invalid option: "size"'],
  ],
});

describe('gocryptfs', () => {
  test('leaves no plaintext on disk, neither in contents nor in names', async () => {
    await using one = await makeVolume('gocryptfs', {});
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'a-telling-name'), known);
    await one.driver.unmount(one.volume);
    const found = await runProgram('grep', ['-rac', 'KNOWN PLAINTEXT', join(one.volume.folder, 'cipher')]);
    expect(found.stdout).not.toMatch(/:[1-9]/);
    const names = await readdir(join(one.volume.folder, 'cipher'), { recursive: true });
    expect(names.length).toBeGreaterThan(1);
    expect(names.join('\n')).not.toContain('telling');
  });

  test('a rotation lets the old key in no more, and keeps the data', async () => {
    await using one = await makeVolume('gocryptfs', { key: 'env:ONE' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    const before = await readFile(join(one.volume.folder, 'key.json'));
    const options = await one.driver.rotate?.(one.volume, { key: 'env:TWO' });
    expect(options).toMatchObject({ key: 'env:TWO' });
    await one.driver.mount(one.volume);
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
    await one.driver.unmount(one.volume);
    await writeFile(join(one.volume.folder, 'key.json'), before);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'wrong-password' });
  });

  test.each(['before', 'after'])(
    'a rotation that was killed %s the storage knew loses no key',
    async (when) => {
      await using one = await makeVolume('gocryptfs', {});
      await one.driver.create(one.volume);
      await one.driver.mount(one.volume);
      await writeFile(join(one.volume.mountpoint, 'file'), 'content');
      await one.driver.unmount(one.volume);
      const folder = one.volume.folder;
      const [key, conf] = await Promise.all([
        readFile(join(folder, 'key.json')),
        readFile(join(folder, 'cipher/gocryptfs.conf')),
      ]);
      await one.driver.rotate?.(one.volume, { key: undefined });
      // The state after a kill: the next key is stored, and the storage has it or not.
      await writeFile(join(folder, 'key-next.json'), await readFile(join(folder, 'key.json')));
      await writeFile(join(folder, 'key.json'), key);
      if (when === 'before') {
        await rm(join(folder, 'cipher/gocryptfs.conf'));
        await writeFile(join(folder, 'cipher/gocryptfs.conf'), conf);
      }
      await one.driver.mount(one.volume);
      expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
    },
  );

  test('a program that has ended behind the mount is seen, and the mount can be made again', async () => {
    await using one = await makeVolume('gocryptfs', {});
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await endProgramBehind(one.volume);
    expect(await one.driver.health(one.volume, { isMounted: true })).toMatchObject({
      status: 'failed',
      message: 'The program behind the mount has ended',
    });
    await one.driver.unmount(one.volume);
    await one.driver.mount(one.volume);
    expect(await readFile(join(one.volume.mountpoint, 'file'), 'utf8')).toBe('content');
  });

  test('erased keys open nothing any more', async () => {
    await using one = await makeVolume('gocryptfs', {});
    await one.driver.create(one.volume);
    await one.driver.erase?.(one.volume);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'integrity' });
  });
});

describe('luks, without opening it', () => {
  test.each(['before the old key went', 'after the old key went', 'when all was done but told'])(
    'a rotation that was killed %s loses no key',
    async (when) => {
      const parent = await mkdtemp(join(tmpdir(), 'driver-'));
      await using _left = { [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }) };
      const secret = async (): Promise<Uint8Array> => Buffer.from('secret');
      const keys = openVolumeKeys(openKeyWraps({ stateDir: join(parent, 'state'), secret }));
      const volume = { name: 'some-volume', options: {}, folder: parent, mountpoint: join(parent, '_data') };
      const image = join(parent, 'image');
      await makeImage(image, 40 << 20);
      const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
      const args = ['luksFormat', '--batch-mode', '--type', 'luks2', ...quick, '--key-file', '-', image];
      await cryptsetup(args, { input: await keys.create(volume), action: 'Cannot format' });
      const pair = await keys.prepareNext(volume, undefined);
      await addKey(volume, image, pair);
      if (when !== 'before the old key went') await removeKey(volume, image, { old: pair.now });
      if (when === 'when all was done but told') await keys.accept(volume);
      await luksDriver(keys).rotate?.(volume, { key: undefined });
      expect(await opensWith(image, await keys.read(volume))).toBe(true);
      expect(await opensWith(image, pair.now)).toBe(false);
      expect(await opensWith(image, pair.next)).toBe(false);
    },
  );

  test.each([
    [{}, 'missing required option: "size"'],
    [{ size: '20m' }, 'too small for ext4'],
    [{ size: '1g', device: '/dev/x' }, 'exclude each other'],
    [{ device: '/dev/x' }, 'option "device" needs "format=true"'],
    [{ size: '1g', key: 'hunter2' }, 'neither "master" nor a reference'],
    [{ size: '1g', colour: 'red' }, 'invalid option: "colour"'],
  ])('%j is refused: %s', async (options, words) => {
    const driver = await open('luks')('/nowhere');
    expect(() => driver.check(options as Record<string, string>)).toThrow(words);
  });

  test('a device that holds something is not encrypted over it', async () => {
    await using one = await makeVolume('luks', { device: '', format: 'true' });
    await writeFile(one.device, known);
    await expect(one.driver.create(one.volume)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('holds unknown data') as string,
    });
    expect(await readFile(one.device, 'utf8')).toBe(known);
  });
});

interface OneVolume extends AsyncDisposable {
  readonly driver: Driver;
  readonly volume: DriverVolume;
  readonly device: string;
}

/** An empty option "device" becomes a path of the test's own. */
async function makeVolume(kind: DriverKind, options: Record<string, string>): Promise<OneVolume> {
  const parent = await mkdtemp(join(tmpdir(), 'driver-'));
  const folder = join(parent, 'volume');
  await mkdir(join(folder, '_data'), { recursive: true });
  const device = join(parent, 'device');
  const driver = await open(kind)(parent);
  const checked = driver.check(options['device'] === '' ? { ...options, device } : options);
  const volume = { name: 'some-volume', options: checked, folder, mountpoint: join(folder, '_data') };
  return {
    driver,
    volume,
    device,
    async [Symbol.asyncDispose]() {
      if (driver.traits(checked).isMounted && kind !== 'luks') await driver.unmount(volume);
      await driver.remove(volume);
      await rm(parent, { recursive: true, force: true });
    },
  };
}

/** Only of the volume's mount, whose mountpoint is on its command line. */
async function endProgramBehind({ mountpoint }: DriverVolume): Promise<void> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('gocryptfs') && command.includes(mountpoint)) process.kill(Number(entry), 'SIGKILL');
  }
  await stat(mountpoint).catch(() => undefined);
}
