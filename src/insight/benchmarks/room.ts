import { readdirSync, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { mountOver, readMounts } from '../../lib/mountinfo.ts';
import { realPathOf } from '../../lib/open-trusted.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { fromText, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

/**
 * What may be written to a volume: its own room, and that of the disk below an image that grows as it is
 * filled. A file system whose image cannot grow fails for all that is in it.
 */
export async function roomOf(
  root: DirectoryHandle,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<number> {
  let room = freeAt(toPath(root.self));
  const source = mountOver(await readMounts(), realPathOf(root))?.source;
  for (const image of source?.startsWith('/dev/') === true ? imagesBehind(deviceOf(source)) : []) {
    await requireAnswer(fromText(image), { name, signal });
    room = Math.min(room, roomToGrow(image));
  }
  return room;
}

function freeAt(place: string | Buffer): number {
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize;
}

/** Without bound for one whose blocks are all set aside, or are free below. */
function roomToGrow(image: string): number {
  try {
    const { size, blocks } = statSync(image);
    const free = freeAt(image);
    return free >= size - blocks * 512 ? Number.POSITIVE_INFINITY : free;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // Removed since, or out of sight of this process.
    return Number.POSITIVE_INFINITY;
  }
}

/** `/dev/mapper/x` is a link to the device itself. */
function deviceOf(source: string): string {
  try {
    return path.basename(realpathSync(toPath(source), 'utf8'));
  } catch {
    return path.basename(source);
  }
}

const deepest = 8;

/** The files that a block device lies on, also by way of others: encryption, LVM. */
export function imagesBehind(device: string, blocks = '/sys/class/block', depth = 0): string[] {
  const folder = path.join(blocks, device);
  try {
    return [readFileSync(path.join(folder, 'loop/backing_file'), 'utf8').trimEnd()];
  } catch {
    // Not a loop device.
  }
  try {
    const below = depth < deepest ? readdirSync(path.join(folder, 'slaves')) : [];
    return below.flatMap((one) => imagesBehind(one, blocks, depth + 1));
  } catch {
    return [];
  }
}
