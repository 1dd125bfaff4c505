import { closeSync, readSync } from 'node:fs';
import { openRegularPath } from '../../lib/open-regular.ts';
import type { FileStat } from '../../lib/posix-at.ts';
import type { ByteString } from '../../model/byte-string.ts';

/** Reads until `buffer` is full or the file ends, from `position`. */
export function readFully(fd: number, buffer: Buffer, position: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(fd, buffer, done, buffer.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** A regular file, open for reading, that closes itself. */
export function openDisposable(
  path: ByteString,
): { readonly fd: number; readonly stat: FileStat } & Disposable {
  const { fd, stat } = openRegularPath(path);
  return { fd, stat, [Symbol.dispose]: () => closeSync(fd) };
}

/** True when a file was written to between two stats. */
export function hasChanged(before: FileStat, after: FileStat): boolean {
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.ctimeNs !== after.ctimeNs;
}
