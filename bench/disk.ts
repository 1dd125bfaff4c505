import { closeSync, lstatSync, openSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { syncFilesystem } from '../src/lib/posix.ts';
import { AppError } from '../src/model/errors.ts';
import { formatSize } from '../src/model/size.ts';

/**
 * The data, a copy of it, four compressed ones, one being restored, and a repository's temporary files: in
 * units of the data.
 */
const roomFactor = 6;

/** `full` when the run would not fit, before anything is written. */
export function requireRoom(folder: string, dataBytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const needed = dataBytes * roomFactor;
  if (free >= needed) return;
  throw new AppError(
    'full',
    `Cannot run the benchmark in "${folder}": it needs ${formatSize(needed)}, and ${formatSize(free)} are free`,
    { hint: 'Name a folder on another disk with --dir, or make less data with a smaller --scale.' },
  );
}

/** Waits until all writes have finished, so that no program pays for the previous one. */
export function settleDisk(folder: string): void {
  const directory = openSync(folder, 'r');
  try {
    syncFilesystem(directory);
  } finally {
    closeSync(directory);
  }
}

/** Bytes that a tree takes on the disk, as `du` counts them (without hard links). */
export function diskUsage(root: string): number {
  let blocks = 0;
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      blocks += lstatSync(path).blocks;
      if (entry.isDirectory()) folders.push(path);
    }
  }
  return blocks * 512;
}
