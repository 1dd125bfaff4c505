import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';

const baseFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const noAccessTime = 0o1000000;

/** Opens a file for reading without following a link, without waiting for a fifo's writer, and without touching its access time where allowed. */
export function openForReading(path: ByteString): number {
  try {
    return openSync(toPath(path), baseFlags | noAccessTime);
  } catch (error) {
    // Only the owner may leave the access time alone.
    if (errnoOf(error) !== 'EPERM') throw error;
    return openSync(toPath(path), baseFlags);
  }
}

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

/** An open file that closes itself. */
export function openDisposable(path: ByteString): { readonly fd: number } & Disposable {
  const fd = openForReading(path);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

/** True when a file was written to between two looks at it. */
export function hasChanged(before: BigIntStats, after: BigIntStats): boolean {
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.ctimeNs !== after.ctimeNs;
}

export function statOpen(fd: number): BigIntStats {
  return fstatSync(fd, { bigint: true });
}
