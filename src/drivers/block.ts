import { lstat, realpath, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseSize } from '../model/size.ts';
import { growImage, imageHealth, makeImage, markFresh, prepareFreshRoot } from './disk-image.ts';
import { mountThen, roomAt, unmountPath } from './mount-point.ts';
import type { Driver, DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { catchUpWithImage, mendKilledResize, resizeImage } from './ext4-image.ts';
import {
  checkFileSystem,
  checkLeastSize,
  contentOf,
  type FileSystem,
  lengthOf,
  makeFileSystem,
} from './file-systems.ts';
import { checkOptions, flagOption, mountWords, type Options } from './mount-options.ts';
import { checkOwnership, ownershipOptions } from '../lib/ownership.ts';

/**
 * A local device or image with ext4, xfs or btrfs. It is formatted only when it is blank and that is
 * requested.
 */
export const blockDriver: Driver = {
  kind: 'block',

  check(options) {
    checkOptions(options, {
      kind: 'block',
      known: ['device', 'fs', 'o', 'format', 'size', ...ownershipOptions],
      required: ['device'],
    });
    checkOwnership(options);
    const fileSystem = fileSystemOf(options);
    const size = sizeOf(options);
    if (size !== undefined) checkLeastSize(fileSystem, size);
    if (
      !flagOption(options, 'format') &&
      (size !== undefined || ownershipOptions.some((key) => key in options))
    ) {
      throw new AppError('usage', 'a size, an owner and a mode are only for a file system that is made', {
        hint: 'Add "-o format=true", or leave them out: what is on the device stays as it is.',
      });
    }
    return { ...options, device: resolve(options['device'] ?? '') };
  },

  traits: () => ({ isMounted: true, isElsewhere: true, isFleeting: false }),

  async create(volume, { signal } = {}) {
    const { options, name } = volume;
    const device = deviceOf(volume);
    const fileSystem = fileSystemOf(options);
    const isNew = !(await isThere(device));
    if (isNew) await makeMissing(volume);
    const found = await contentOf(device, { signal });
    if (found === fileSystem) return;
    if (found !== undefined) throw holdsSomething(volume, found);
    if (!flagOption(options, 'format')) {
      throw new AppError('usage', `Cannot create volume ${quote(name)}: ${quote(device)} is blank`, {
        hint: `Have ${fileSystem} made on it with "-o format=true".`,
      });
    }
    await markFresh(volume);
    try {
      await makeFileSystem(fileSystem, device, { volume, signal });
    } catch (error) {
      if (isNew) await rm(device, { force: true });
      throw error;
    }
  },

  // The device and its data existed before the volume, or are the user's to decide about.
  remove: async () => undefined,

  async mount(volume, call) {
    const device = deviceOf(volume);
    const type = fileSystemOf(volume.options);
    const stat = await statOf(volume);
    const action = `Cannot mount volume ${quote(volume.name)}`;
    if (stat.isFile()) await mendKilledResize({ volume, image: device, action, ...call });
    const words = [...(stat.isFile() ? ['loop'] : []), ...mountWords(volume.options)];
    const request = { source: device, target: volume.mountpoint, type, words, name: volume.name };
    const follow = async (): Promise<void> => {
      await prepareFreshRoot(volume);
      if (stat.isFile() && !words.includes('ro'))
        await catchUpWithImage(volume, { image: device, fileSystem: type, ...call });
    };
    await mountThen(request, follow, call);
  },

  unmount: (volume, call) => unmountPath(volume, call),

  health: (volume) => healthOf(volume),

  usage: (volume) => roomAt(volume.mountpoint),

  async resize(volume, { sizeBytes, isMounted }, call) {
    const device = deviceOf(volume);
    const fileSystem = fileSystemOf(volume.options);
    if (!(await statOf(volume)).isFile()) return await growDevice(volume, sizeBytes, call);
    checkLeastSize(fileSystem, sizeBytes);
    const request = { image: device, sizeBytes, fileSystem };
    if (sizeBytes >= (await lengthOf(device))) await growImage(volume, { ...request, ...call });
    else await resizeImage(volume, { ...request, isMounted, ...call });
    return volume.options['size'] === undefined
      ? volume.options
      : { ...volume.options, size: String(sizeBytes) };
  },
};

function deviceOf({ options }: { readonly options: Options }): string {
  return options['device'] ?? '';
}

function fileSystemOf(options: Options): FileSystem {
  const type = options['type'];
  return checkFileSystem(options['fs'] ?? (type === undefined || type === 'block' ? 'ext4' : type));
}

function sizeOf(options: Options): number | undefined {
  const size = options['size'];
  return size === undefined ? undefined : parseSize(size);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await realpath(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function makeMissing(volume: DriverVolume): Promise<void> {
  const device = deviceOf(volume);
  const size = sizeOf(volume.options);
  if (size === undefined || device.startsWith('/dev/')) {
    throw new AppError(
      'not-found',
      `Cannot create volume ${quote(volume.name)}: ${quote(device)} does not exist`,
      {
        hint: device.startsWith('/dev/')
          ? 'See which devices there are with lsblk.'
          : 'Have an image made there with "-o size=10g -o format=true".',
      },
    );
  }
  await makeImage(device, size);
}

function holdsSomething(volume: DriverVolume, found: string): AppError {
  const device = quote(deviceOf(volume));
  return new AppError('conflict', `Cannot create volume ${quote(volume.name)}: ${device} holds ${found}`, {
    hint: `Nothing is ever formatted that holds something. Say "-o type=…" as it is there, or empty it yourself (wipefs) if it may go.`,
  });
}

async function statOf(volume: DriverVolume): Promise<Awaited<ReturnType<typeof lstat>>> {
  const device = deviceOf(volume);
  const found = await lstat(await realpath(device).catch(() => device)).catch(() => undefined);
  if (found !== undefined) return found;
  throw new AppError('not-found', `Cannot use volume ${quote(volume.name)}: ${quote(device)} is not there`, {
    hint: 'Connect the disk, or put the image back.',
  });
}

async function healthOf(volume: DriverVolume): Promise<DriverHealth> {
  const device = deviceOf(volume);
  const found = await lstat(await realpath(device).catch(() => device)).catch(() => undefined);
  if (found === undefined) return { status: 'failed', message: `${quote(device)} is not there` };
  return found.isFile() ? await imageHealth(device) : { status: 'good', message: undefined };
}

/** A device has a fixed size: its file system grows to fill it. */
async function growDevice(volume: DriverVolume, sizeBytes: number, call?: DriverCall): Promise<Options> {
  const length = await lengthOf(deviceOf(volume));
  if (sizeBytes > length) {
    throw new AppError(
      'usage',
      `Cannot resize volume ${quote(volume.name)}: its device has ${length} bytes`,
      {
        hint: 'Make the device larger first (lvextend, the provider of the disk).',
      },
    );
  }
  await growImageOnDevice(volume, call);
  return volume.options;
}

async function growImageOnDevice(volume: DriverVolume, { signal }: DriverCall = {}): Promise<void> {
  await catchUpWithImage(volume, {
    image: deviceOf(volume),
    fileSystem: fileSystemOf(volume.options),
    signal,
  });
}
