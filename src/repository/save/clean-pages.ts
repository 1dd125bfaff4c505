import { closeSync, constants, openSync, statSync } from 'node:fs';
import { syncFilesystemLater } from '../../lib/posix.ts';
import { isTimely } from '../../lib/filesystem-type.ts';
import { untilShort } from '../../lib/until-short.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

/**
 * Has the kernel write to disk what programs have written through memory maps, on the file system of a
 * directory. A write to a dirty page changes no time of the file; a write to a clean page does. So a file
 * that does not change from here on keeps its times, and the next backup may rely on them.
 */
export async function cleanPages(directory: ByteString): Promise<void> {
  const fd = tryToOpen(directory);
  if (fd === undefined) return;
  try {
    // An error belongs to an earlier write to any file, and means nothing to a reader.
    await syncFilesystemLater(fd);
  } finally {
    closeSync(fd);
  }
}

/** The next backup does not trust a file's change time this close to the snapshot's. */
const recentMs = 900;

const soonCleanMs = 40;
const maxCleanings = 4;

/**
 * The file systems whose pages were written to disk just before their data was made still, so that containers
 * do not stand still for it: other programs' writes to the same disk may take seconds.
 */
export class CleanedFilesystems {
  readonly #cleanedAt = new Map<bigint, number>();

  async clean(directory: ByteString): Promise<void> {
    const stat = statSync(toPath(directory), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || this.#cleanedAt.has(stat.dev)) return;
    if (!isTimely(directory)) return;
    const clean = async (): Promise<void> => {
      const beganAt = Date.now();
      await cleanPages(directory);
      this.#cleanedAt.set(stat.dev, beganAt);
    };
    await untilShort(clean, { shortMs: soonCleanMs, most: maxCleanings });
  }

  /** True when a write since then has a time that the next backup does not trust. */
  isRecent(device: bigint): boolean {
    const at = this.#cleanedAt.get(device);
    return at !== undefined && Math.abs(Date.now() - at) < recentMs;
  }
}

/** A directory that cannot be opened cannot be listed either, which the walk reports. */
function tryToOpen(directory: ByteString): number | undefined {
  try {
    return openSync(toPath(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
