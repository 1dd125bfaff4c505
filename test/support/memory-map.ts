import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);
const mmap = libc.func(
  'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const munmap = libc.func('int munmap(void *at, size_t length)');
const readAndWrite = 3;
const shared = 1;

export interface MemoryMap extends Disposable {
  readonly bytes: Uint8Array;
}

/** Maps the beginning of a file as shared memory, as databases do. */
export function mapFile(path: string, length: number): MemoryMap {
  const fd = openSync(path, 'r+');
  const map: unknown = mmap(null, length, readAndWrite, shared, fd, 0);
  closeSync(fd);
  return {
    bytes: new Uint8Array(koffi.view(map, length)),
    [Symbol.dispose]: () => {
      munmap(map, length);
    },
  };
}
