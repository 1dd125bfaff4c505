import { closeSync, constants, openSync } from 'node:fs';
import { syncFilesystemLater } from '../../lib/posix.ts';
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

/** What cannot be opened cannot be listed either: the walk tells of it. */
function tryToOpen(directory: ByteString): number | undefined {
  try {
    return openSync(toPath(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
