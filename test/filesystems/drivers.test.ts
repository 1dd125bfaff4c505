import { execFileSync } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, open as openFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeDriver } from '../suites/driver-contract.ts';
import type { Driver, DriverKind, DriverVolume } from '../../src/drivers/driver.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { runProgram } from '../../src/lib/run-program.ts';
import { type LoopFilesystem, mountLoopFilesystem } from '../support/loop-filesystem.ts';

const open = (kind: DriverKind) => (folder: string) =>
  openDrivers({ stateDir: join(folder, 'state'), secret: async () => Buffer.from('secret') }).get(kind);

const owners = [
  [{ mode: 'rwx' }, 'invalid mode: "rwx"'],
  [{ uid: 'root' }, '"root" is not a number'],
] as const;

describeDriver('local', {
  open: open('local'),
  options: () => ({}),
  keepsOwners: true,
  refused: [
    [{ device: '/dev/sdb' }, 'missing required option: "type"'],
    [{ colour: 'red' }, 'invalid option: "colour"'],
    [{ size: 'big' }, "invalid size: 'big'"],
    [{ size: '100k' }, 'too small for ext4'],
    [{ size: '100m', fs: 'xfs' }, 'too small for xfs'],
    [{ size: '100m', fs: 'ntfs' }, 'There is no file system "ntfs"'],
    [{ fs: 'ext4' }, 'option "fs" needs "size"'],
    ...owners,
  ],
});

for (const [fs, size] of [
  ['ext4', '32m'],
  ['xfs', '300m'],
  ['btrfs', '120m'],
] as const) {
  describeDriver(`local with a size on ${fs}`, {
    open: open('local'),
    options: () => ({ size, fs }),
    keepsOwners: true,
    refused: [],
  });
}

describeDriver('bind', {
  open: open('bind'),
  options: async (folder) => {
    await mkdir(join(folder, 'elsewhere'));
    return { type: 'none', o: 'bind', device: join(folder, 'elsewhere') };
  },
  refused: [
    [{ type: 'none', o: 'bind' }, 'missing required option: "device"'],
    [{ type: 'none', o: 'bind', device: '/x', size: '1g' }, 'invalid option: "size"'],
    [{ type: 'none', o: 'bind', device: '/x', owner: '1' }, 'only for a folder that is made'],
    [{ type: 'none', o: 'bind', device: '/x', create: 'perhaps' }, 'neither true nor false'],
  ],
});

describeDriver('bind with a folder that it makes', {
  open: open('bind'),
  options: (folder) => ({ o: 'bind', device: join(folder, 'made/deep'), create: 'true' }),
  keepsOwners: true,
  refused: [],
});

describeDriver('tmpfs', {
  open: open('tmpfs'),
  options: () => ({ type: 'tmpfs', device: 'tmpfs', o: 'size=1.5m,mode=1770,uid=1000,noexec' }),
  refused: [
    [{ o: 'colour=red' }, 'tmpfs has no option "colour=red"'],
    [{ o: 'size=much' }, "invalid size: 'much'"],
    [{ o: 'mode=rwx' }, 'invalid mode'],
    [{ uid: 'root' }, 'is not a number'],
    [{ owner: '1' }, 'invalid option: "owner"'],
  ],
});

describeDriver('block with an image that it makes', {
  open: open('block'),
  options: (folder) => ({ type: 'ext4', device: join(folder, 'disk.img'), size: '32m', format: 'true' }),
  keepsOwners: true,
  refused: [
    [{ type: 'ext4' }, 'missing required option: "device"'],
    [{ type: 'ext4', device: '/x', size: '1g' }, 'only for a file system that is made'],
    [{ type: 'ext4', device: '/x', key: 'k' }, 'invalid option: "key"'],
  ],
});

describe('on btrfs', () => {
  let disk: LoopFilesystem;
  beforeAll(() => {
    disk = mountLoopFilesystem('btrfs', { sizeBytes: 512 * 1024 * 1024 });
  });
  afterAll(() => disk[Symbol.asyncDispose]());

  describeDriver('btrfs in the state folder', {
    open: open('btrfs'),
    base: () => disk.path,
    options: () => ({ type: 'btrfs' }),
    keepsOwners: true,
    refused: [
      [{ size: 'x' }, "invalid size: 'x'"],
      [{ device: '/dev/sdb' }, 'invalid option: "device"'],
    ],
  });

  describeDriver('btrfs in a pool', {
    open: open('btrfs'),
    options: () => ({ pool: join(disk.path, 'pool') }),
    keepsOwners: true,
    refused: [],
  });

  test('a limit is enforced, and usage is reported', async () => {
    await using one = await makeVolume('btrfs', { size: '8m' }, disk.path);
    await one.driver.create(one.volume);
    await expect(
      writeFile(join(one.volume.mountpoint, 'large'), Buffer.alloc(16 << 20, 1)),
    ).rejects.toMatchObject({
      errno: -122,
    });
    expect(await one.driver.usage?.(one.volume)).toMatchObject({ totalBytes: 8 << 20 });
    const options = await one.driver.resize?.(one.volume, { sizeBytes: 64 << 20, isMounted: false });
    expect(options).toMatchObject({ size: String(64 << 20) });
    await writeFile(join(one.volume.mountpoint, 'large'), Buffer.alloc(16 << 20, 1));
  });

  test('a clone and a freeze are of this instant, and take no room', async () => {
    await using one = await makeVolume('btrfs', {}, disk.path);
    await using two = await makeVolume('btrfs', {}, disk.path);
    for (const { driver, volume } of [one, two]) await driver.create(volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'before');
    expect(await one.driver.clone?.(one.volume, two.volume)).toBe(true);
    const image = join(one.volume.folder, 'image');
    await one.driver.freeze?.(one.volume, image);
    await writeFile(join(one.volume.mountpoint, 'file'), 'after!');
    const { readFile } = await import('node:fs/promises');
    expect(await readFile(join(two.volume.mountpoint, 'file'), 'utf8')).toBe('before');
    expect(await readFile(join(image, 'file'), 'utf8')).toBe('before');
    await expect(writeFile(join(image, 'file'), 'x')).rejects.toMatchObject({ code: 'EROFS' });
    await one.driver.thaw?.(one.volume, image);
    await expect(stat(image)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test('btrfs elsewhere says what is missing', async () => {
  await using one = await makeVolume('btrfs', {});
  await expect(one.driver.create(one.volume)).rejects.toMatchObject({
    code: 'unsupported',
    hint: expect.stringContaining('pool=') as string,
  });
});

describe('a volume with a size', () => {
  test('holds no more than that, and reports its size', async () => {
    await using one = await makeVolume('local', { size: '16m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    const target = join(one.volume.mountpoint, 'large');
    await expect(writeFile(target, Buffer.alloc(32 << 20, 1))).rejects.toMatchObject({ code: 'ENOSPC' });
    const room = await one.driver.usage?.(one.volume);
    expect(room?.totalBytes).toBeLessThan(16 << 20);
    expect(room?.freeBytes).toBeLessThan(1 << 20);
  });

  test.each(['xfs', 'btrfs'])('grows on %s while it is in use', async (fs) => {
    await using one = await makeVolume('local', { size: '320m', fs });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    const before = await one.driver.usage?.(one.volume);
    await one.resize(640 << 20, true);
    const after = await one.driver.usage?.(one.volume);
    expect((after?.totalBytes ?? 0) - (before?.totalBytes ?? 0)).toBeGreaterThan(250 << 20);
    expect(await readdir(one.volume.mountpoint)).toEqual(['file']);
  });

  test('grows and shrinks on ext4 while not in use, and never below its data', async () => {
    await using one = await makeVolume('local', { size: '64m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'large'), Buffer.alloc(24 << 20, 1));
    await expect(one.resize(32 << 20, true)).rejects.toMatchObject({ code: 'in-use' });
    await one.driver.unmount(one.volume);
    await one.resize(128 << 20, false);
    await expect(one.resize(12 << 20, false)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('its data needs') as string,
    });
    await one.resize(100 << 20, false);
    await one.driver.mount(one.volume);
    expect((await stat(join(one.volume.mountpoint, 'large'))).size).toBe(24 << 20);
    expect((await one.driver.usage?.(one.volume))?.totalBytes).toBeLessThan(100 << 20);
    expect(await readdir(one.volume.mountpoint)).toEqual(['large']);
  });

  test('a resize that is cancelled while resize2fs runs finishes', async () => {
    await using one = await makeVolume('local', { size: '64m' });
    await one.driver.create(one.volume);
    await using resize2fs = await standIn(
      'resize2fs',
      'touch "$0.started"; until [ -e "$0.go" ]; do sleep 0.02; done; exec /sbin/resize2fs "$@"',
    );
    const cancel = new AbortController();
    const request = { sizeBytes: 128 << 20, isMounted: false };
    const resized = one.driver.resize?.(one.volume, request, { signal: cancel.signal });
    await resize2fs.said('started');
    cancel.abort();
    await resize2fs.tell('go');
    expect(await resized).toMatchObject({ size: String(128 << 20) });
    const image = join(one.volume.folder, 'image');
    expect((await runProgram('e2fsck', ['-f', '-n', image])).status).toBe(0);
    expect((await stat(image)).size).toBe(128 << 20);
  });

  test('a resize2fs that is killed in the middle leaves a volume that can be mounted and resized', async () => {
    await using one = await makeVolume('local', { size: '64m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    {
      // A signal ends it at the first write beyond the limit, after it has written up to it.
      await using _resize2fs = await standIn('resize2fs', 'ulimit -f 400000; exec /sbin/resize2fs "$@"');
      const request = { sizeBytes: 1 << 30, isMounted: false };
      await expect(one.driver.resize?.(one.volume, request)).rejects.toMatchObject({ code: 'failed' });
    }
    const image = join(one.volume.folder, 'image');
    expect((await runProgram('e2fsck', ['-f', '-n', image])).status).toBe(0);
    await one.resize(256 << 20, false);
    await one.driver.mount(one.volume);
    expect(await readdir(one.volume.mountpoint)).toEqual(['file']);
  });

  test('the next mount or resize repairs what a resize killed with its Holdfast has left', async () => {
    await using one = await makeVolume('local', { size: '64m' });
    await one.driver.create(one.volume);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'file'), 'content');
    await one.driver.unmount(one.volume);
    const image = join(one.volume.folder, 'image');
    const kill = async (): Promise<void> => {
      await truncate(image, 1 << 30);
      await writeFile(join(one.volume.folder, 'resizing'), '');
      await runProgram('sh', ['-c', 'ulimit -f 400000; exec resize2fs "$1"', 'sh', image]);
      expect((await runProgram('e2fsck', ['-f', '-n', image])).status).not.toBe(0);
    };
    await kill();
    await one.driver.mount(one.volume);
    expect(await readdir(one.volume.mountpoint)).toEqual(['file']);
    await one.driver.unmount(one.volume);
    // The result of the mount is kept.
    expect((await runProgram('e2fsck', ['-f', '-n', image])).status).toBe(0);
    await one.resize(64 << 20, false);
    await kill();
    await one.resize(96 << 20, false);
    expect((await runProgram('e2fsck', ['-f', '-n', image])).status).toBe(0);
    await one.driver.mount(one.volume);
    expect(await readdir(one.volume.mountpoint)).toEqual(['file']);
    expect((await readdir(one.volume.folder)).toSorted()).toEqual(['_data', 'image']);
  });

  test('never cuts off data when a growth was not noted', async () => {
    await using one = await makeVolume('local', { size: '64m' });
    await one.driver.create(one.volume);
    await one.driver.resize?.(one.volume, { sizeBytes: 256 << 20, isMounted: false });
    // The options still say 64m, as after a kill: this is larger than that, and smaller than the actual size.
    await one.resize(128 << 20, false);
    await one.driver.mount(one.volume);
    await writeFile(join(one.volume.mountpoint, 'large'), Buffer.alloc(96 << 20, 1));
    await one.driver.unmount(one.volume);
    const { status } = await runProgram('e2fsck', ['-f', '-n', join(one.volume.folder, 'image')]);
    expect(status).toBe(0);
  });

  test('reports when the disk below has no room for all of it', async () => {
    await using disk = mountLoopFilesystem('ext4', { sizeBytes: 128 << 20 });
    await using one = await makeVolume('local', { size: '1g' }, disk.path);
    await one.driver.create(one.volume);
    expect(await one.driver.health(one.volume, { isMounted: false })).toMatchObject({
      status: 'degraded',
      message: expect.stringContaining('may grow by') as string,
    });
  });

  test('that the kernel is still at work with is mounted when it is done, and is in use when that is never', async () => {
    await using one = await makeVolume('local', { size: '16m' });
    await one.driver.create(one.volume);
    const image = join(one.volume.folder, 'image');
    const losetup = (...args: string[]): string => execFileSync('losetup', args, { encoding: 'utf8' }).trim();
    const device = losetup('--find', '--show', image);
    try {
      const holder = await openFile(device, constants.O_RDONLY | constants.O_EXCL);
      await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'in-use' });
      const mounting = one.driver.mount(one.volume);
      await sleep(500);
      await holder.close();
      await mounting;
      await writeFile(join(one.volume.mountpoint, 'file'), 'content');
      await one.driver.unmount(one.volume);
    } finally {
      losetup('--detach', device);
    }
  });

  test('whose image is missing says so, and mounts nothing', async () => {
    await using one = await makeVolume('local', { size: '16m' });
    await one.driver.create(one.volume);
    await rm(join(one.volume.folder, 'image'));
    expect(await one.driver.health(one.volume, { isMounted: false })).toMatchObject({ status: 'failed' });
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('whose image is cut short mounts nothing', async () => {
    await using one = await makeVolume('local', { size: '16m' });
    await one.driver.create(one.volume);
    await truncate(join(one.volume.folder, 'image'), 4096);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject({
      message: expect.stringContaining('Cannot mount volume "some-volume"') as string,
    });
  });
});

describe('a device', () => {
  test.each([
    ['ext4', 'xfs', 'ext4'],
    ['xfs', 'ext4', 'xfs'],
  ] as const)('that holds %s is not formatted as %s', async (there, asked, found) => {
    await using one = await makeVolume('block', { type: asked, format: 'true' }, undefined, true);
    await truncateNew(one.device, 320 << 20);
    execFileSync(`mkfs.${there}`, [there === 'ext4' ? '-F' : '-f', one.device], { stdio: 'pipe' });
    await expect(one.driver.create(one.volume)).rejects.toMatchObject({
      code: 'conflict',
      message: `Cannot create volume "some-volume": "${one.device}" holds ${found}`,
    });
  });

  test.each([0, 1 << 20, (8 << 20) - 4096])('with unknown data at byte %i is not formatted', async (at) => {
    await using one = await makeVolume('block', { type: 'ext4', format: 'true' }, undefined, true);
    await truncateNew(one.device, 8 << 20);
    await using file = await openFile(one.device, 'r+');
    await file.write(Buffer.from('precious'), 0, 8, at);
    await file.sync();
    await expect(one.driver.create(one.volume)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('holds unknown data') as string,
    });
  });

  test('that is blank is formatted only when that is asked for', async () => {
    await using one = await makeVolume('block', { type: 'ext4' }, undefined, true);
    await truncateNew(one.device, 16 << 20);
    await expect(one.driver.create(one.volume)).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('format=true') as string,
    });
  });

  test('that is not there is named, at creation and at the mount', async () => {
    await using one = await makeVolume('block', {
      type: 'ext4',
      device: '/dev/no-such-device',
      format: 'true',
    });
    const gone = { code: 'not-found', message: expect.stringContaining('/dev/no-such-device') as string };
    await expect(one.driver.create(one.volume)).rejects.toMatchObject(gone);
    await expect(one.driver.mount(one.volume)).rejects.toMatchObject(gone);
    expect(await one.driver.health(one.volume, { isMounted: false })).toMatchObject({ status: 'failed' });
  });
});

test('a bind mount of a missing folder says how to create it', async () => {
  await using one = await makeVolume('bind', { o: 'bind', device: '/no/such/folder' });
  await expect(one.driver.create(one.volume)).rejects.toMatchObject({
    code: 'not-found',
    hint: expect.stringContaining('create=true') as string,
  });
});

test('a read-only bind mount is read-only, and the folder itself is not', async () => {
  await using one = await makeVolume('bind', { o: 'bind,ro' }, undefined, true);
  await mkdir(one.device);
  await one.driver.create(one.volume);
  await one.driver.mount(one.volume);
  await expect(writeFile(join(one.volume.mountpoint, 'x'), '')).rejects.toMatchObject({ code: 'EROFS' });
  await writeFile(join(one.device, 'x'), '');
});

test('a tmpfs has the size, mode and owner that were asked for, and holds no more', async () => {
  await using one = await makeVolume('tmpfs', { o: 'size=1m,mode=1770', uid: '1000' });
  await one.driver.mount(one.volume);
  expect(await stat(one.volume.mountpoint)).toMatchObject({ mode: 0o041770, uid: 1000 });
  await expect(writeFile(join(one.volume.mountpoint, 'x'), Buffer.alloc(2 << 20))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
});

interface OneVolume extends AsyncDisposable {
  readonly driver: Driver;
  volume: DriverVolume;
  /** A path for external storage. */
  readonly device: string;
  /** Works like a driver's caller: the returned options are the volume's from then on. */
  resize(sizeBytes: number, isMounted: boolean): Promise<void>;
}

async function makeVolume(
  kind: DriverKind,
  options: Readonly<Record<string, string>>,
  base: string = tmpdir(),
  withDevice = false,
): Promise<OneVolume> {
  const parent = await mkdtemp(join(base, 'driver-'));
  const folder = join(parent, 'volume');
  await mkdir(join(folder, '_data'), { recursive: true });
  const driver = await open(kind)(parent);
  const device = join(parent, 'device');
  const checked = driver.check(withDevice ? { ...options, device } : options);
  const mountpoint = join(folder, '_data');
  const one: OneVolume = {
    driver,
    device,
    volume: { name: 'some-volume', options: checked, folder, mountpoint },
    async resize(sizeBytes, isMounted) {
      const changed = await driver.resize?.(one.volume, { sizeBytes, isMounted });
      if (changed !== undefined) one.volume = { ...one.volume, options: changed };
    },
    async [Symbol.asyncDispose]() {
      if (driver.traits(checked).isMounted) await driver.unmount(one.volume);
      await driver.remove(one.volume);
      await rm(parent, { recursive: true, force: true });
    },
  };
  return one;
}

interface StandIn extends AsyncDisposable {
  /** Resolves when the script has created the file. */
  said(word: string): Promise<void>;
  tell(word: string): Promise<void>;
}

/** A script that shadows a program. */
async function standIn(program: string, script: string): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'bin-'));
  const path = join(folder, program);
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder}:${before}`;
  return {
    async said(word) {
      for (let tries = 0; !existsSync(`${path}.${word}`); tries++) {
        if (tries > 2000) throw new Error(`${program} never came to "${word}"`);
        await sleep(10);
      }
    },
    tell: (word) => writeFile(`${path}.${word}`, ''),
    async [Symbol.asyncDispose]() {
      process.env['PATH'] = before;
      await rm(folder, { recursive: true });
    },
  };
}

async function truncateNew(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
}
