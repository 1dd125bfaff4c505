import { closeSync, constants, openSync, statSync } from 'node:fs';
import { syncFilesystemLater } from '../../lib/posix.ts';
import { isTimely } from '../../lib/filesystem-type.ts';
import { untilShort } from '../../lib/until-short.ts';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

/**
 * Has the kernel write down what programs have written through memory maps, on the file system of a directory. A write
 * to a page that is dirty already changes no time of the file; to a page that was written down it does. So a file that
 * stays as it is seen from here on keeps its times, and the next backup may go by them.
 */
export async function cleanPages(directory: ByteString): Promise<void> {
  const fd = tryToOpen(directory);
  if (fd === undefined) return;
  try {
    // An error is one of an earlier write, of whatever file: to those who read now it says nothing.
    await syncFilesystemLater(fd);
  } finally {
    closeSync(fd);
  }
}

/** A file's time of change is not trusted by the next backup when it is this near to the snapshot's. */
const recentMs = 900;

const soonCleanMs = 40;
const maxCleanings = 4;

/**
 * The file systems whose pages were written down just before their data was made still, so that nobody stands still for
 * it: what other programs have written to the same disk may take seconds.
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

/** What cannot be opened cannot be listed either: the walk tells of it. */
function tryToOpen(directory: ByteString): number | undefined {
  try {
    return openSync(toPath(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
