import { access, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import { runProgram } from '../lib/run-program.ts';
import { type EndedProgram, runToEnd } from '../lib/run-to-end.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { formatSize } from '../model/size.ts';
import { findMount, roomAt } from './mount-point.ts';
import type { DriverCall, DriverVolume } from './driver.ts';
import { type FileSystem, growFileSystem, lengthOf } from './file-systems.ts';

/** Exists in the volume's folder while resize2fs runs. */
const resizingMark = 'resizing';
const debianPackage = 'e2fsprogs';

/** An unmounted ext4. */
export interface Ext4Image extends DriverCall {
  readonly volume: Pick<DriverVolume, 'folder'>;
  readonly image: string;
  /** The failed action, for messages. */
  readonly action: string;
}

/** Resizes a checked image's file system to `sizeKib`, or to its image. */
export async function resizeExt4(request: Ext4Image, sizeKib?: number): Promise<EndedProgram> {
  const { volume, image, signal } = request;
  const mark = join(volume.folder, resizingMark);
  await writeDurably(mark, '');
  const args = sizeKib === undefined ? [image] : [image, `${sizeKib}K`];
  const result = await runToEnd('resize2fs', args, { folder: volume.folder, signal, debianPackage });
  if (result.status === 0) await rm(mark, { force: true });
  else await mendKilledResize({ ...request, signal: undefined });
  return result;
}

/** Checks one, and repairs what needs no question, as resizing requires. */
export async function mendExt4(request: Ext4Image): Promise<void> {
  await mendKilledResize(request);
  await check(request, '-p');
}

/**
 * Repairs an image after resize2fs was killed, or stopped by a power cut. resize2fs copies data before it
 * frees the old place, and its own advice is to answer yes to each question of e2fsck. Does nothing for any
 * other image.
 */
export async function mendKilledResize(request: Ext4Image): Promise<void> {
  const mark = join(request.volume.folder, resizingMark);
  const isMarked = await access(mark).then(
    () => true,
    () => false,
  );
  if (!isMarked) return;
  await check(request, '-y');
  await rm(mark, { force: true });
}

async function check({ volume, image, action, signal }: Ext4Image, answers: '-p' | '-y'): Promise<void> {
  const { status, said } = await runToEnd('e2fsck', ['-f', answers, image], {
    folder: volume.folder,
    signal,
    debianPackage,
  });
  // 1 means that errors were corrected.
  if (status === 0 || status === 1) return;
  throw new AppError('integrity', `${action}: its file system is damaged`, {
    detail: said,
    hint: `Mend it with: e2fsck -f ${image}`,
  });
}

interface ResizeImage extends DriverCall {
  readonly image: string;
  readonly fileSystem: FileSystem;
}

/** Shrinks an unmounted image: its file system first, so that a kill leaves an image that is too large. */
export async function resizeImage(
  volume: Pick<DriverVolume, 'name' | 'folder'>,
  request: ResizeImage & { readonly sizeBytes: number; readonly isMounted: boolean },
): Promise<void> {
  const { image, fileSystem, sizeBytes, isMounted, signal } = request;
  const action = `Cannot make volume ${quote(volume.name)} smaller`;
  if (fileSystem !== 'ext4') {
    throw new AppError('unsupported', `${action}: ${fileSystem} cannot shrink`, {
      hint: 'Clone it into a volume of the size that you want.',
    });
  }
  if (isMounted) {
    throw new AppError('in-use', `${action}: it is mounted, and ext4 shrinks only when it is not in use`, {
      hint: 'Stop what uses it, then try again.',
    });
  }
  const ext4 = { volume, image, action, signal };
  await mendExt4(ext4);
  const least = await leastSize(image, { signal });
  if (sizeBytes < least) {
    throw new AppError(
      'usage',
      `${action}: its data needs ${formatSize(least)}, and ${formatSize(sizeBytes)} was asked for`,
      {
        hint: 'Choose a larger size, or remove data first.',
      },
    );
  }
  const kib = Math.floor(sizeBytes / 1024);
  const { status, said } = await resizeExt4(ext4, kib);
  if (status !== 0) {
    const isTooSmall = /smaller than minimum|not enough space/i.test(said);
    throw new AppError(isTooSmall ? 'usage' : 'failed', action, { detail: said });
  }
  await truncate(image, kib * 1024);
}

async function leastSize(image: string, { signal }: DriverCall): Promise<number> {
  const { stdout } = await runProgram('resize2fs', ['-P', image], { signal, debianPackage: 'e2fsprogs' });
  const header = await runProgram('dumpe2fs', ['-h', image], { signal, debianPackage: 'e2fsprogs' });
  const blocks = Number(/minimum size of the filesystem: (\d+)/.exec(stdout)?.[1] ?? Number.NaN);
  const blockBytes = Number(/^Block size:\s+(\d+)/m.exec(header.stdout)?.[1] ?? Number.NaN);
  return Number.isNaN(blocks * blockBytes) ? 0 : blocks * blockBytes;
}

/**
 * Finishes a growth that was requested while it was not mounted, or that was killed. A failure does not
 * prevent the mount.
 */
export async function catchUpWithImage(
  volume: Pick<DriverVolume, 'name' | 'mountpoint' | 'folder'>,
  { image, fileSystem, signal }: ResizeImage,
): Promise<void> {
  const [length, room, mount] = await Promise.all([
    lengthOf(image),
    roomAt(volume.mountpoint),
    findMount(volume.mountpoint),
  ]);
  // File systems keep less than a sixteenth for themselves.
  if (mount === undefined || length - room.totalBytes < Math.max(length / 8, 2 ** 25)) return;
  const request = { device: mount.source, volume, signal };
  await growFileSystem(fileSystem, request).catch((error: unknown) => {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
  });
}
