import { rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../model/errors.ts';
import { parseSize } from '../model/size.ts';
import { growImage, imageHealth, makeImage, markFresh, prepareFreshRoot } from './disk-image.ts';
import { mountThen, roomAt, unmountPath } from './mount-point.ts';
import type { Driver, DriverVolume } from './driver.ts';
import { catchUpWithImage, mendKilledResize, resizeImage } from './ext4-image.ts';
import {
  checkFileSystem,
  checkLeastSize,
  type FileSystem,
  lengthOf,
  makeFileSystem,
} from './file-systems.ts';
import { checkOptions, type Options } from './mount-options.ts';
import { applyOwnership, checkOwnership, ownershipOptions } from '../lib/ownership.ts';

/** A directory; with `size`, an image with its own file system, which enforces the size. */
export const localDriver: Driver = {
  kind: 'local',

  check(options) {
    if (options['type'] === undefined && ('device' in options || 'o' in options)) {
      throw new AppError('usage', 'missing required option: "type"', {
        hint: 'Say what kind of storage the device is: -o type=nfs, -o type=none -o o=bind, -o type=ext4 …',
      });
    }
    checkOptions(options, { kind: 'local', known: ['size', 'fs', ...ownershipOptions] });
    checkOwnership(options);
    const size = sizeOf(options);
    if (size !== undefined) checkLeastSize(fileSystemOf(options), size);
    else if ('fs' in options) {
      throw new AppError('usage', 'option "fs" needs "size"', {
        hint: 'Without a size, the volume is a directory on the file system that is there.',
      });
    }
    return options;
  },

  traits: (options) => ({ isMounted: hasImage(options), isElsewhere: false, isFleeting: false }),

  async create(volume, { signal } = {}) {
    const size = sizeOf(volume.options);
    if (size === undefined) return await applyOwnership(volume.mountpoint, volume.options, volume.name);
    await markFresh(volume);
    await makeImage(imageOf(volume), size);
    await makeFileSystem(fileSystemOf(volume.options), imageOf(volume), { volume, signal });
  },

  // Everything is in the volume's folder.
  remove: async () => undefined,

  async mount(volume, call) {
    await requireImage(volume);
    const type = fileSystemOf(volume.options);
    const action = `Cannot mount volume "${volume.name}"`;
    await mendKilledResize({ volume, image: imageOf(volume), action, ...call });
    const request = {
      source: imageOf(volume),
      target: volume.mountpoint,
      type,
      words: ['loop'],
      name: volume.name,
    };
    const follow = async (): Promise<void> => {
      await prepareFreshRoot(volume);
      // fsck recreates it, and databases refuse a folder that is not empty.
      await rmdir(join(volume.mountpoint, 'lost+found')).catch(() => undefined);
      await catchUpWithImage(volume, { image: imageOf(volume), fileSystem: type, ...call });
    };
    await mountThen(request, follow, call);
  },

  unmount: (volume, call) => unmountPath(volume, call),

  async health(volume) {
    return hasImage(volume.options)
      ? await imageHealth(imageOf(volume))
      : { status: 'good', message: undefined };
  },

  usage: async (volume) => (hasImage(volume.options) ? await roomAt(volume.mountpoint) : undefined),

  async resize(volume, { sizeBytes, isMounted }, call) {
    if (!hasImage(volume.options)) {
      throw new AppError('unsupported', `Cannot resize volume "${volume.name}": it was made without a size`, {
        hint: 'Move it into a volume that has one: "holdfast volume clone" with -o size=….',
      });
    }
    const fileSystem = fileSystemOf(volume.options);
    checkLeastSize(fileSystem, sizeBytes);
    const request = { image: imageOf(volume), sizeBytes, fileSystem };
    // The image's size, not the recorded one: a growth that was cut short leaves it larger.
    if (sizeBytes >= (await lengthOf(imageOf(volume)))) await growImage(volume, { ...request, ...call });
    else await resizeImage(volume, { ...request, isMounted, ...call });
    return { ...volume.options, size: String(sizeBytes) };
  },
};

async function requireImage(volume: DriverVolume): Promise<void> {
  const found = await stat(imageOf(volume)).catch(() => undefined);
  if (found?.isFile() === true) return;
  throw new AppError('integrity', `Cannot mount volume "${volume.name}": its image is missing`, {
    detail: imageOf(volume),
    hint: `Put it back, or remove the volume and restore it from a backup: "holdfast restore ${volume.name}".`,
  });
}

function imageOf(volume: DriverVolume): string {
  return join(volume.folder, 'image');
}

function hasImage(options: Options): boolean {
  return options['size'] !== undefined;
}

function sizeOf(options: Options): number | undefined {
  const size = options['size'];
  return size === undefined ? undefined : parseSize(size);
}

function fileSystemOf(options: Options): FileSystem {
  return checkFileSystem(options['fs'] ?? 'ext4');
}
