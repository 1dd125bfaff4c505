import { closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { type ByteString, toPath } from '../model/byte-string.ts';

const flock = koffi.load(null).func('int flock(int fd, int operation)');

const exclusiveWithoutWaiting = 2 | 4;

/**
 * An exclusive hold on a directory among cooperating programs, which leaves no trace in it. The kernel
 * releases it when the process ends, however it ends. Undefined when another process has it.
 */
export function tryLockDirectory(path: ByteString): Disposable | undefined {
  const fd = openSync(toPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  if (flock(fd, exclusiveWithoutWaiting) !== 0) {
    closeSync(fd);
    return undefined;
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
