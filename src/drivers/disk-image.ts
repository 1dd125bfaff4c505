import { open, stat, statfs, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../lib/durable-file.ts';
import { runProgram } from '../lib/run-program.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { formatSize } from '../model/size.ts';
import type { DriverCall, DriverHealth, DriverVolume } from './driver.ts';
import { type FileSystem, growFileSystem } from './file-systems.ts';
import { findMount } from './mount-point.ts';

/** Makes a sparse file of that size: it takes room as it is filled. Replaces what an earlier try left. */
export async function makeImage(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, 'w', 0o600);
  await file.truncate(sizeBytes);
  await file.sync();
  await syncDirectory(dirname(path));
}

/** Makes an image larger, and lets the file system in it have the room, also while it is mounted. */
export async function growImage(
  volume: Pick<DriverVolume, 'name' | 'mountpoint'>,
  { image, sizeBytes, fileSystem, signal }: DriverCall & GrowRequest,
): Promise<void> {
  await truncate(image, sizeBytes);
  const mount = await findMount(volume.mountpoint);
  if (mount === undefined) {
    // The others grow only while they are mounted: the next mount does it.
    if (fileSystem === 'ext4') await fitExt4(image, { name: volume.name, signal });
    return;
  }
  await noticeSize(mount.source, volume.name, { signal });
  await growFileSystem(fileSystem, {
    device: mount.source,
    mountpoint: volume.mountpoint,
    name: volume.name,
    signal,
  });
}

interface GrowRequest {
  readonly image: string;
  readonly sizeBytes: number;
  readonly fileSystem: FileSystem;
}

/** Makes an ext4 that nobody uses as large as its image. */
async function fitExt4(
  image: string,
  { name, signal }: DriverCall & { readonly name: string },
): Promise<void> {
  const action = `Cannot grow volume ${quote(name)}`;
  await mendExt4(image, action, { signal });
  const options = { signal, timeoutMs: 95_000, debianPackage: 'e2fsprogs' };
  const { status, stderr } = await runProgram('resize2fs', [image], options);
  if (status !== 0) throw new AppError('failed', action, { detail: stderr });
}

/** Resizing needs a file system that has been checked. */
export async function mendExt4(image: string, action: string, { signal }: DriverCall): Promise<void> {
  const options = { signal, timeoutMs: 95_000, debianPackage: 'e2fsprogs' };
  const { status, stdout, stderr } = await runProgram('e2fsck', ['-f', '-p', image], options);
  // 1 says that it mended something.
  if (status === 0 || status === 1) return;
  throw new AppError('integrity', `${action}: its file system is damaged`, {
    detail: stderr || stdout.trim(),
    hint: `Mend it with: e2fsck -f ${image}`,
  });
}

async function noticeSize(device: string, name: string, { signal }: DriverCall): Promise<void> {
  const { status, stderr } = await runProgram('losetup', ['--set-capacity', device], { signal });
  if (status === 0) return;
  throw new AppError('failed', `Cannot make the device of volume ${quote(name)} larger`, { detail: stderr });
}

/** What lies behind a mounted image must have room for all that the image may come to hold. */
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
