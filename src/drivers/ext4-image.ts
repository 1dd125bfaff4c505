import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../lib/durable-file.ts';
import { type EndedProgram, runToEnd } from '../lib/run-to-end.ts';
import { AppError } from '../model/errors.ts';
import type { DriverCall, DriverVolume } from './driver.ts';

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
