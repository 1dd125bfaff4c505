import { open, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkOwnership, ownershipOptions } from '../lib/ownership.ts';
import { runToEnd } from '../lib/run-to-end.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseSize } from '../model/size.ts';
import { imageHealth, makeImage, markFresh, prepareFreshRoot } from './disk-image.ts';
import { mountThen, roomAt, unmountPath } from './mount-point.ts';
import type { Driver, DriverCall, DriverVolume } from './driver.ts';
import {
  checkFileSystem,
  checkLeastSize,
  contentOf,
  type FileSystem,
  growFileSystem,
  lengthOf,
  makeFileSystem,
} from './file-systems.ts';
import { checkKeyReference } from './keys/key-wraps.ts';
import type { VolumeKeys } from './keys/volume-key.ts';
import {
  addKey,
  changeContainer,
  closeMapping,
  cryptsetup,
  headerBytes,
  mappingOf,
  opensWith,
  removeKey,
} from './luks-mapping.ts';
import { checkOptions, flagOption, mountWords, type Options } from './mount-options.ts';

/** LUKS2 in an image with a size, or on a device: opened at the mount, closed at the unmount. */
export function luksDriver(keys: VolumeKeys): Driver {
  const openMapping = async (volume: DriverVolume, call?: DriverCall): Promise<string> => {
    const mapping = await mappingOf(volume);
    const path = `/dev/mapper/${mapping}`;
    if ((await stat(path).catch(() => undefined)) !== undefined) return path;
    const key = await keys.read(volume);
    const action = `Cannot open volume ${quote(volume.name)}`;
    const args = ['open', '--type', 'luks2', '--key-file', '-', containerOf(volume), mapping];
    await cryptsetup(args, { input: key, action, ...call });
    return path;
  };

  return {
    kind: 'luks',

    check: checkLuks,

    traits: (options) => ({
      isMounted: true,
      isElsewhere: options['device'] !== undefined,
      isFleeting: false,
    }),

    async create(volume, call) {
      const container = containerOf(volume);
      if (!(await isFormatted(volume, keys, call))) await formatContainer(volume, keys, call);
      const mapping = await openMapping(volume, call);
      try {
        const fileSystem = fileSystemOf(volume.options);
        const found = await contentOf(mapping, call);
        if (found === fileSystem) return;
        if (found !== undefined && found !== 'unknown data') throw holds(volume, container, found);
        await markFresh(volume);
        await makeFileSystem(fileSystem, mapping, { volume, ...call });
      } finally {
        await closeMapping(volume);
      }
    },

    async remove(volume, call) {
      await closeMapping(volume, call);
      // Without its keys the image is noise, and so are all copies of it. A device may be reused by another
      // volume.
      if (volume.options['device'] === undefined) await eraseAll(volume, keys);
    },

    async mount(volume, call) {
      await settleRotation(volume, keys, call);
      const mapping = await openMapping(volume, call);
      const { name, mountpoint: target, options } = volume;
      const type = fileSystemOf(options);
      const request = { source: mapping, target, type, words: mountWords(options), name };
      try {
        await mountThen(request, () => prepareFreshRoot(volume), call);
      } catch (error) {
        // The user must see the original error.
        await closeMapping(volume).catch(() => undefined);
        throw error;
      }
    },

    async unmount(volume, call) {
      await unmountPath(volume, call);
      await closeMapping(volume, call);
    },

    async health(volume, { isMounted }) {
      const container = containerOf(volume);
      const found = await stat(container).catch(() => undefined);
      if (found === undefined) return { status: 'failed', message: `${quote(container)} is not there` };
      const lack = await keys.lack(volume);
      if (lack !== undefined) return { status: isMounted ? 'degraded' : 'failed', message: lack };
      return found.isFile() ? await imageHealth(container) : { status: 'good', message: undefined };
    },

    usage: (volume) => roomAt(volume.mountpoint),

    async resize(volume, { sizeBytes, isMounted }, call) {
      const container = containerOf(volume);
      const action = `Cannot resize volume ${quote(volume.name)}`;
      const now = await lengthOf(container);
      if (volume.options['device'] !== undefined || sizeBytes < now) {
        throw new AppError('unsupported', `${action}: only an image of its own, and only to grow`, {
          hint: 'Clone it into a volume of the size that you want.',
        });
      }
      await growContainer(container, sizeBytes);
      const options = { ...volume.options, size: String(sizeBytes) };
      if (!isMounted) return options;
      const key = await keys.read(volume);
      const mapping = await mappingOf(volume);
      await changeContainer(['resize', '--key-file', '-', mapping], { volume, input: key, action, ...call });
      const device = `/dev/mapper/${mapping}`;
      await growFileSystem(fileSystemOf(options), { device, volume, ...call });
      return options;
    },

    async rotate(volume, { key }, call) {
      if (key !== undefined) checkKeyReference(key);
      await settleRotation(volume, keys, call);
      const pair = await keys.prepareNext(volume, key);
      // First both keys open it, then only the new one: after a kill at any moment, one key does.
      await addKey(volume, containerOf(volume), pair, call);
      await removeKey(volume, containerOf(volume), { old: pair.now }, call);
      await keys.accept(volume);
      return key === undefined ? volume.options : { ...volume.options, key };
    },

    erase: (volume) => eraseAll(volume, keys),
  };
}

function checkLuks(options: Options): Options {
  checkOptions(options, {
    kind: 'luks',
    known: ['size', 'device', 'format', 'fs', 'key', 'o', ...ownershipOptions],
  });
  checkOwnership(options);
  checkKeyReference(options['key'] ?? 'master');
  const { size, device } = options;
  if (size === undefined && device === undefined) {
    throw new AppError('usage', 'missing required option: "size"', {
      hint: 'Say how large the encrypted image is to be ("-o size=10g"), or name a device ("-o device=/dev/…").',
    });
  }
  if (size !== undefined && device !== undefined)
    throw new AppError('usage', 'options "size" and "device" exclude each other: a device has its own size');
  if (size !== undefined) checkLeastSize(fileSystemOf(options), parseSize(size) - headerBytes);
  if (device !== undefined && !flagOption(options, 'format')) {
    throw new AppError('usage', 'option "device" needs "format=true": everything on it is encrypted anew', {
      hint: 'A device that holds something is refused all the same.',
    });
  }
  return device === undefined ? options : { ...options, device: resolve(device) };
}

function containerOf(volume: DriverVolume): string {
  return volume.options['device'] ?? join(volume.folder, 'image');
}

function fileSystemOf(options: Options): FileSystem {
  return checkFileSystem(options['fs'] ?? 'ext4');
}

/** True when an earlier attempt has formatted it: our key opens it. */
async function isFormatted(volume: DriverVolume, keys: VolumeKeys, call?: DriverCall): Promise<boolean> {
  const container = containerOf(volume);
  if ((await stat(container).catch(() => undefined)) === undefined) return false;
  if ((await stat(join(volume.folder, 'key.json')).catch(() => undefined)) === undefined) return false;
  return await opensWith(container, await keys.read(volume), call);
}

async function formatContainer(volume: DriverVolume, keys: VolumeKeys, call?: DriverCall): Promise<void> {
  const container = containerOf(volume);
  const { size } = volume.options;
  if (size !== undefined) await makeImage(container, parseSize(size));
  else await refuseContent(volume, container, call);
  const key = await keys.create(volume);
  // The key is random: stretching it costs time and memory at each mount, and adds nothing.
  const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  const args = ['luksFormat', '--batch-mode', '--type', 'luks2', ...quick, '--key-file', '-', container];
  const action = `Cannot create volume ${quote(volume.name)}`;
  try {
    await changeContainer(args, { volume, input: key, action, ...call });
  } catch (error) {
    if (size !== undefined) await rm(container, { force: true });
    throw error;
  }
}

async function refuseContent(volume: DriverVolume, device: string, call?: DriverCall): Promise<void> {
  if ((await stat(device).catch(() => undefined)) === undefined) {
    throw new AppError(
      'not-found',
      `Cannot create volume ${quote(volume.name)}: ${quote(device)} does not exist`,
      {
        hint: 'See which devices there are with lsblk.',
      },
    );
  }
  const found = await contentOf(device, call);
  if (found !== undefined) throw holds(volume, device, found);
}

function holds(volume: DriverVolume, device: string, found: string): AppError {
  return new AppError(
    'conflict',
    `Cannot create volume ${quote(volume.name)}: ${quote(device)} holds ${found}`,
    {
      hint: 'Nothing is ever formatted that holds something. Empty it yourself (wipefs) if it may go.',
    },
  );
}

async function settleRotation(volume: DriverVolume, keys: VolumeKeys, call?: DriverCall): Promise<void> {
  const next = await keys.readNext(volume);
  if (next === undefined || !(await opensWith(containerOf(volume), next, call))) return;
  await removeKey(volume, containerOf(volume), { old: await keys.read(volume) }, call);
  await keys.accept(volume);
}

async function growContainer(container: string, sizeBytes: number): Promise<void> {
  await using file = await open(container, 'r+');
  await file.truncate(sizeBytes);
  await file.sync();
}

/** The header has the key slots: without it, no saved key opens anything. */
async function eraseAll(volume: DriverVolume, keys: VolumeKeys): Promise<void> {
  const container = containerOf(volume);
  if ((await stat(container).catch(() => undefined)) !== undefined) {
    const args = ['luksErase', '--batch-mode', container];
    const result = await runToEnd('cryptsetup', args, {
      folder: volume.folder,
      debianPackage: 'cryptsetup-bin',
    });
    if (result.status === 0) await overwriteHeader(container);
  }
  await keys.destroy(volume);
}

async function overwriteHeader(container: string): Promise<void> {
  await using file = await open(container, 'r+');
  const zeros = Buffer.alloc(1 << 20);
  const length = Math.min(headerBytes, await lengthOf(container));
  for (let at = 0; at < length; at += zeros.length)
    await file.write(zeros, 0, Math.min(zeros.length, length - at), at);
  await file.sync();
}
