import { lstat, mkdir, rename, rmdir, statfs } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import { filesystemType } from '../lib/filesystem-type.ts';
import { applyOwnership, checkOwnership, ownershipOptions } from '../lib/ownership.ts';
import { readTextIfThere } from '../lib/read-text.ts';
import { type ProgramResult, runProgram } from '../lib/run-program.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { parseSize } from '../model/size.ts';
import type { Driver, DriverCall, DriverVolume } from './driver.ts';
import { checkOptions, type Options } from './mount-options.ts';
import { mountAtPath, unmountPath } from './mount-point.ts';

const placeFile = 'subvolume';

/**
 * A subvolume: at the mountpoint itself where the state folder is on btrfs, or below `pool`, a folder on
 * btrfs. Limits, snapshots and clones are the file system's own.
 */
export const btrfsDriver: Driver = {
  kind: 'btrfs',

  check(options) {
    checkOptions(options, { kind: 'btrfs', known: ['pool', 'size', ...ownershipOptions] });
    checkOwnership(options);
    if (options['size'] !== undefined) parseSize(options['size']);
    return options['pool'] === undefined ? options : { ...options, pool: resolve(options['pool']) };
  },

  traits: (options) => ({ isMounted: hasPool(options), isElsewhere: false, isFleeting: false }),

  async create(volume, call) {
    const folder = volume.options['pool'] ?? volume.folder;
    await requireBtrfs(folder, volume.name);
    const path = hasPool(volume.options) ? await choosePlace(volume) : volume.mountpoint;
    if (!(await isSubvolume(path))) {
      // The subvolume replaces the empty data directory.
      if (!hasPool(volume.options)) await rmdir(path);
      await command(['subvolume', 'create', path], `Cannot create volume ${quote(volume.name)}`, call);
    }
    await applyOwnership(path, { mode: '0755', ...volume.options }, volume.name);
    const size = volume.options['size'];
    if (size !== undefined) await limit(volume, path, parseSize(size), call);
  },

  async remove(volume, call) {
    const path = await placeOf(volume);
    if (path === undefined || !(await isSubvolume(path))) return;
    await command(['subvolume', 'delete', path], `Cannot remove volume ${quote(volume.name)}`, call);
  },

  async mount(volume, call) {
    const path = await placeOf(volume);
    if (path === undefined || !(await isSubvolume(path))) {
      throw new AppError('integrity', `Cannot mount volume ${quote(volume.name)}: its subvolume is missing`, {
        detail: path,
        hint: `Put it back, or remove the volume and restore it: "holdfast restore ${volume.name}".`,
      });
    }
    await mountAtPath({ source: path, target: volume.mountpoint, words: ['bind'], name: volume.name }, call);
  },

  unmount: (volume, call) => unmountPath(volume, call),

  async health(volume) {
    const path = await placeOf(volume);
    return path !== undefined && (await isSubvolume(path))
      ? { status: 'good', message: undefined }
      : { status: 'failed', message: 'Its subvolume is missing' };
  },

  async usage(volume, call) {
    const path = await placeOf(volume);
    const size = volume.options['size'];
    if (path === undefined || size === undefined) return undefined;
    const { status, stdout } = await btrfs(['qgroup', 'show', '--raw', '-f', path], call);
    const referenced = Number(/^\s*\d+\/\d+\s+(\d+)\s/m.exec(stdout)?.[1] ?? Number.NaN);
    if (status !== 0 || Number.isNaN(referenced)) return undefined;
    const totalBytes = parseSize(size);
    return { totalBytes, usedBytes: referenced, freeBytes: Math.max(0, totalBytes - referenced) };
  },

  async freeze(volume, path, call) {
    const from = await placeOf(volume);
    if (from === undefined)
      throw new AppError('integrity', `The subvolume of ${quote(volume.name)} is missing`);
    await command(
      ['subvolume', 'snapshot', '-r', from, path],
      `Cannot freeze volume ${quote(volume.name)}`,
      call,
    );
  },

  async thaw(volume, path, call) {
    if (!(await isSubvolume(path))) return;
    await command(
      ['subvolume', 'delete', path],
      `Cannot remove the image of volume ${quote(volume.name)}`,
      call,
    );
  },

  async clone(from, to, call) {
    const [source, target] = [await placeOf(from), await placeOf(to)];
    if (source === undefined || target === undefined || !(await isSubvolume(target))) return false;
    const fresh = `${target}.${randomBytes(6).toString('hex')}`;
    const action = `Cannot clone volume ${quote(from.name)}`;
    const { status, stderr } = await btrfs(['subvolume', 'snapshot', source, fresh], call);
    // Two file systems cannot share data.
    if (/cross-device|Invalid cross/i.test(stderr)) return false;
    if (status !== 0) throw new AppError('failed', action, { detail: stderr });
    await command(['subvolume', 'delete', target], action, call);
    await rename(fresh, target);
    const size = to.options['size'];
    if (size !== undefined) await limit(to, target, parseSize(size), call);
    return true;
  },

  async resize(volume, { sizeBytes }, call) {
    const path = await placeOf(volume);
    if (path === undefined)
      throw new AppError('integrity', `The subvolume of ${quote(volume.name)} is missing`);
    const used = (await this.usage?.(volume, call))?.usedBytes ?? 0;
    if (sizeBytes < used) {
      throw new AppError(
        'usage',
        `Cannot make volume ${quote(volume.name)} smaller than the ${used} bytes that it holds`,
      );
    }
    await limit(volume, path, sizeBytes, call);
    return { ...volume.options, size: String(sizeBytes) };
  },
};

function hasPool(options: Options): boolean {
  return options['pool'] !== undefined;
}

/** Undefined when nothing was created yet. */
async function placeOf(volume: DriverVolume): Promise<string | undefined> {
  if (!hasPool(volume.options)) return volume.mountpoint;
  const name = await readTextIfThere(join(volume.folder, placeFile));
  return name === undefined ? undefined : join(volume.options['pool'] ?? '', name);
}

/**
 * Recorded before it is created, under a unique name: it survives renames, and lets a killed create be
 * undone.
 */
async function choosePlace(volume: DriverVolume): Promise<string> {
  const known = await placeOf(volume);
  if (known !== undefined) return known;
  const name = `holdfast-${volume.name.slice(0, 200)}-${randomBytes(6).toString('hex')}`;
  await writeDurably(join(volume.folder, placeFile), name);
  return join(volume.options['pool'] ?? '', name);
}

async function requireBtrfs(folder: string, name: string): Promise<void> {
  const action = `Cannot create volume ${quote(name)}`;
  try {
    await mkdir(folder, { recursive: true });
    if ((await statfs(folder)).type === filesystemType.btrfs) return;
  } catch (error) {
    throw new AppError('failed', `${action}: ${quote(folder)} cannot be used`, {
      detail: String(error),
      cause: error,
    });
  }
  throw new AppError('unsupported', `${action}: ${quote(folder)} is not on btrfs`, {
    hint: 'Name a folder that is, with "-o pool=/mnt/btrfs/volumes".',
  });
}

async function isSubvolume(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  // The root of a subvolume has this inode number.
  return found?.isDirectory() === true && found.ino === 256;
}

async function limit(
  volume: DriverVolume,
  path: string,
  sizeBytes: number,
  call?: DriverCall,
): Promise<void> {
  const action = `Cannot limit volume ${quote(volume.name)}`;
  const first = await btrfs(['qgroup', 'limit', String(sizeBytes), path], call);
  if (first.status === 0) return;
  // A new file system has quotas off.
  await command(['quota', 'enable', path], action, call);
  await command(['qgroup', 'limit', String(sizeBytes), path], action, call);
}

async function btrfs(args: readonly string[], { signal }: DriverCall = {}): Promise<ProgramResult> {
  return await runProgram('btrfs', args, { signal, debianPackage: 'btrfs-progs' });
}

async function command(args: readonly string[], action: string, call?: DriverCall): Promise<void> {
  const { status, stderr } = await btrfs(args, call);
  if (status !== 0) throw new AppError('failed', action, { detail: stderr });
}
