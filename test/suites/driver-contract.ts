import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { setImmutable } from '../../src/volumes/managed/volume-folders.ts';
import { mountAt, readMounts } from '../../src/lib/mountinfo.ts';
import { fromText } from '../../src/model/byte-string.ts';
import type { Driver, DriverVolume } from '../../src/drivers/driver.ts';

export interface DriverUnderTest {
  /** The folder is the test's own, for external storage and state. */
  open(folder: string): Promise<Driver> | Driver;
  /** Valid options of a volume, with new storage each time. */
  options(folder: string): Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>;
  /** The parent of volumes' folders; a temporary folder by default. */
  readonly base?: (() => string) | undefined;
  /** Options that must be refused, and a part of the message. */
  readonly refused: readonly (readonly [Readonly<Record<string, string>>, string])[];
  /** True when an owner can be set, and persists. */
  readonly keepsOwners?: boolean;
}

/** The contract of drivers, for every implementation. */
export function describeDriver(name: string, subject: DriverUnderTest): void {
  describe(`the driver ${name}`, () => {
    let folder: string;
    let driver: Driver;
    let volume: DriverVolume;

    beforeEach(async () => {
      folder = await mkdtemp(join(subject.base?.() ?? tmpdir(), 'driver-'));
      driver = await subject.open(folder);
      volume = await makeVolume('some-volume', driver.check(await subject.options(folder)));
    });

    afterEach(async () => {
      if (driver.traits(volume.options).isMounted) await driver.unmount(volume);
      await driver.remove(volume);
      await rm(folder, { recursive: true, force: true });
    });

    const makeVolume = async (
      volumeName: string,
      options: Readonly<Record<string, string>>,
    ): Promise<DriverVolume> => {
      const own = join(folder, volumeName);
      await mkdir(join(own, '_data'), { recursive: true });
      return { name: volumeName, options, folder: own, mountpoint: join(own, '_data') };
    };
    const isMounted = async (): Promise<boolean> =>
      mountAt(await readMounts(), fromText(volume.mountpoint)) !== undefined;
    const mount = async (): Promise<void> => {
      if (driver.traits(volume.options).isMounted) await driver.mount(volume);
    };
    const unmount = async (): Promise<void> => {
      if (driver.traits(volume.options).isMounted) await driver.unmount(volume);
    };

    test.each(subject.refused)('refuses %j: %s', (options, words) => {
      expect(() => driver.check(options)).toThrow(
        expect.objectContaining({
          code: 'usage',
          message: expect.stringContaining(words) as string,
        }) as Error,
      );
    });

    test('options that were checked are good again, and stay as they are', () => {
      expect(driver.check(volume.options)).toEqual(volume.options);
    });

    test('a new volume is empty, and written data can be read', async () => {
      await driver.create(volume);
      await mount();
      expect(await isMounted()).toBe(driver.traits(volume.options).isMounted);
      expect(await readdir(volume.mountpoint)).toEqual([]);
      await mkdir(join(volume.mountpoint, 'folder'));
      await writeFile(join(volume.mountpoint, 'folder/file'), 'content');
      expect(await readFile(join(volume.mountpoint, 'folder/file'), 'utf8')).toBe('content');
    });

    test('data survives an unmount, unless the driver declares it fleeting', async () => {
      await driver.create(volume);
      await mount();
      await writeFile(join(volume.mountpoint, 'file'), 'content');
      await unmount();
      if (driver.traits(volume.options).isMounted) expect(await readdir(volume.mountpoint)).toEqual([]);
      expect(await isMounted()).toBe(false);
      await mount();
      const isFleeting = driver.traits(volume.options).isFleeting;
      expect(await readdir(volume.mountpoint)).toEqual(isFleeting ? [] : ['file']);
    });

    test('creating it again leaves the data as it is', async () => {
      await driver.create(volume);
      await mount();
      await writeFile(join(volume.mountpoint, 'file'), 'content');
      await unmount();
      if (driver.traits(volume.options).isElsewhere) await driver.create(volume);
      await mount();
      const kept = driver.traits(volume.options).isFleeting ? [] : ['file'];
      expect(await readdir(volume.mountpoint)).toEqual(kept);
    });

    test('unmounting and removing may be repeated, also before a mount or create', async () => {
      await expect(unmount()).resolves.toBeUndefined();
      await expect(driver.remove(volume)).resolves.toBeUndefined();
      await driver.create(volume);
      await mount();
      await unmount();
      await unmount();
      await driver.remove(volume);
      await driver.remove(volume);
    });

    test('a mount in use is not unmounted', async () => {
      await driver.create(volume);
      await mount();
      if (!driver.traits(volume.options).isMounted) return;
      await writeFile(join(volume.mountpoint, 'file'), 'content');
      const here = process.cwd();
      process.chdir(volume.mountpoint);
      try {
        await expect(driver.unmount(volume)).rejects.toMatchObject({
          code: 'in-use',
          message: 'Cannot unmount volume "some-volume": a program uses it',
        });
      } finally {
        process.chdir(here);
      }
      expect(await readFile(join(volume.mountpoint, 'file'), 'utf8')).toBe('content');
    });

    test('a call that is cancelled mounts nothing', async () => {
      await driver.create(volume);
      if (!driver.traits(volume.options).isMounted) return;
      await expect(driver.mount(volume, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'cancelled',
      });
      expect(await isMounted()).toBe(false);
    });

    test('it is well, mounted or not', async () => {
      await driver.create(volume);
      expect(await driver.health(volume, { isMounted: false })).toMatchObject({ status: 'good' });
      await mount();
      expect(await driver.health(volume, { isMounted: true })).toMatchObject({ status: 'good' });
    });

    test('the empty directory below a mount can be made inaccessible', async () => {
      await driver.create(volume);
      if (!driver.traits(volume.options).isMounted) return;
      setImmutable(volume.mountpoint, true);
      try {
        await mount();
        await writeFile(join(volume.mountpoint, 'file'), 'content');
        await unmount();
        expect(await readdir(volume.mountpoint)).toEqual([]);
      } finally {
        setImmutable(volume.mountpoint, false);
      }
    });

    if (subject.keepsOwners === true)
      test('the root has the owner and mode that were asked for', async () => {
        volume = {
          ...volume,
          options: driver.check({ ...volume.options, owner: '1234', group: '2345', mode: '2750' }),
        };
        await driver.create(volume);
        await mount();
        expect(await stat(volume.mountpoint)).toMatchObject({ uid: 1234, gid: 2345, mode: 0o042750 });
        await unmount();
        await mount();
        expect(await stat(volume.mountpoint)).toMatchObject({ uid: 1234, gid: 2345, mode: 0o042750 });
      });

    test('it follows its folder to another name', async () => {
      await driver.create(volume);
      await mount();
      await writeFile(join(volume.mountpoint, 'file'), 'content');
      await unmount();
      const { rename } = await import('node:fs/promises');
      const own = join(folder, 'another-name');
      await rename(volume.folder, own);
      volume = { ...volume, name: 'another-name', folder: own, mountpoint: join(own, '_data') };
      await mount();
      const kept = driver.traits(volume.options).isFleeting ? [] : ['file'];
      expect(await readdir(volume.mountpoint)).toEqual(kept);
    });
  });
}
