import { access, open, rm, rmdir, stat, statfs, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory, writeDurably } from '../lib/durable-file.ts';
import { applyOwnership } from '../lib/ownership.ts';
import { runProgram } from '../lib/run-program.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { formatSize } from '../model/size.ts';
import type { DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { type Ext4Image, mendExt4, resizeExt4 } from './ext4-image.ts';
import { type FileSystem, growFileSystem } from './file-systems.ts';
import { findMount } from './mount-point.ts';

/**
 * Creates a sparse file of that size, which takes space as it is filled. Replaces what an earlier attempt
 * left.
 */
export async function makeImage(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, 'w', 0o600);
  await file.truncate(sizeBytes);
  await file.sync();
  await syncDirectory(dirname(path));
}

/** Enlarges an image and its file system, also while it is mounted. */
export async function growImage(
  volume: Pick<DriverVolume, 'name' | 'mountpoint' | 'folder'>,
  { image, sizeBytes, fileSystem, signal }: DriverCall & GrowRequest,
): Promise<void> {
  await truncate(image, sizeBytes);
  const mount = await findMount(volume.mountpoint);
  if (mount === undefined) {
    // The others grow only while mounted: the next mount does it.
    const action = `Cannot grow volume ${quote(volume.name)}`;
    if (fileSystem === 'ext4') await fitExt4({ volume, image, action, signal });
    return;
  }
  await noticeSize(mount.source, volume.name, { signal });
  await growFileSystem(fileSystem, { device: mount.source, volume, signal });
}

interface GrowRequest {
  readonly image: string;
  readonly sizeBytes: number;
  readonly fileSystem: FileSystem;
}

/** Grows an unmounted ext4 to the size of its image. */
async function fitExt4(request: Ext4Image): Promise<void> {
  await mendExt4(request);
  const { status, said } = await resizeExt4(request);
  if (status !== 0) throw new AppError('failed', request.action, { detail: said });
}

async function noticeSize(device: string, name: string, { signal }: DriverCall): Promise<void> {
  const { status, stderr } = await runProgram('losetup', ['--set-capacity', device], { signal });
  if (status === 0) return;
  throw new AppError('failed', `Cannot make the device of volume ${quote(name)} larger`, { detail: stderr });
}

/** The disk behind a mounted image must have room for everything that the image may hold. */
export async function imageHealth(image: string): Promise<DriverHealth> {
  try {
    const [file, disk] = await Promise.all([stat(image), statfs(image)]);
    const missing = file.size - file.blocks * 512;
    const free = disk.bavail * disk.bsize;
    if (free >= missing) return { status: 'good', message: undefined };
    return {
      status: 'degraded',
      message: `The disk below has ${formatSize(free)} free, and the image may grow by ${formatSize(missing)}: free some room, or writes will fail`,
    };
  } catch (error) {
    const words = errnoOf(error) === 'ENOENT' ? 'is missing' : `cannot be looked at: ${String(error)}`;
    return { status: 'failed', message: `Its image ${quote(image)} ${words}` };
  }
}

const mark = 'fresh';

/** Records that the new file system has not been mounted yet, so its root still needs its owner and mode. */
export async function markFresh(volume: DriverVolume): Promise<void> {
  await writeDurably(join(volume.folder, mark), '');
}

/** Makes the root of a new file system an empty directory with the requested owner and mode. Once. */
export async function prepareFreshRoot(volume: DriverVolume): Promise<void> {
  const path = join(volume.folder, mark);
  const isFresh = await access(path).then(
    () => true,
    () => false,
  );
  if (!isFresh) return;
  // Databases refuse a folder that is not empty, and containers copy nothing into one. fsck recreates it when
  // needed.
  await rmdir(join(volume.mountpoint, 'lost+found')).catch(() => undefined);
  await applyOwnership(volume.mountpoint, { mode: '0755', ...volume.options }, volume.name);
  await rm(path, { force: true });
}
