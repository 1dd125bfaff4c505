import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';

/** Linux's O_TMPFILE: a file without a name, which is gone with the last process that has it open, however that ends. */
export const withoutName = 0o20000000 | constants.O_DIRECTORY;

/** The descriptor of a new nameless file on the disk of a folder of our own, to be read and written. Throws as `open` does. */
export function openNameless(folder: string): number {
  try {
    return openSync(folder, withoutName | constants.O_RDWR, 0o600);
  } catch (error) {
    // NFS and most file systems in user space have no such files.
    if (!['ENOTSUP', 'EISDIR', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
  }
  // A kill between the two leaves an empty file, which is harmless and too rare to look for at each start.
  const path = join(folder, `.nameless-${randomBytes(8).toString('hex')}`);
  using opened = new DisposableStack();
  const fd = opened.adopt(openSync(path, 'wx+', 0o600), closeSync);
  unlinkSync(path);
  opened.move();
  return fd;
}
