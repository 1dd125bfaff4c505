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

/** In the volume's folder while resize2fs runs. */
const resizingMark = 'resizing';
const debianPackage = 'e2fsprogs';

/** An ext4 that is not mounted. */
export interface Ext4Image extends DriverCall {
  readonly volume: Pick<DriverVolume, 'folder'>;
  readonly image: string;
  /** What could not be done, for messages. */
  readonly action: string;
}

/** Makes one that has been checked as large as `sizeKib`, or as its image. */
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

/** Checks one, and mends what can be mended without a question: resizing needs it. */
export async function mendExt4(request: Ext4Image): Promise<void> {
  await mendKilledResize(request);
  await check(request, '-p');
}

/**
 * Mends what a resize2fs has left that was killed, or stopped by a power cut. It copies data before it lets go of where it
 * was, and its own advice is to answer each question of e2fsck with yes. Nothing for any other image.
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
  // 1 says that it mended something.
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

/** Makes an image smaller that is not mounted. Its file system first, so that a kill leaves an image that is too large. */
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
    throw new AppError('in-use', `${action}: it is mounted, and ext4 shrinks only when nobody uses it`, {
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

/** A growth that was asked for while it was not mounted, or that a kill stopped, is done now. One that fails is no reason not to mount. */
export async function catchUpWithImage(
  volume: Pick<DriverVolume, 'name' | 'mountpoint' | 'folder'>,
  { image, fileSystem, signal }: ResizeImage,
): Promise<void> {
  const [length, room, mount] = await Promise.all([
    lengthOf(image),
    roomAt(volume.mountpoint),
    findMount(volume.mountpoint),
  ]);
  // Less than a sixteenth is what file systems keep for themselves.
  if (mount === undefined || length - room.totalBytes < Math.max(length / 8, 2 ** 25)) return;
  const request = { device: mount.source, volume, signal };
  await growFileSystem(fileSystem, request).catch((error: unknown) => {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
  });
}
