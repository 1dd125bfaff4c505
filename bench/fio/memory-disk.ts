import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../src/model/errors.ts';
import { formatSize } from '../../src/model/size.ts';

export interface MemoryDisk extends Disposable {
  /** Where its ext4 is mounted. */
  readonly path: string;
  /** A folder in the memory beside it, for what is not measured. */
  readonly memory: string;
  /** Shows it at another folder as well. */
  bindTo(folder: string): Disposable;
}

/**
 * An ext4 on a loop device whose file lies in memory: other users of the machine's disk do not disturb what is
 * measured there. Needs root. `full` without the memory for it.
 */
export function mountMemoryDisk(folder: string, sizeBytes: number): MemoryDisk {
  requireMemory(sizeBytes);
  using opened = new DisposableStack();
  const [memory, path] = [join(folder, 'memory'), join(folder, 'disk')];
  for (const one of [memory, path]) mkdirSync(one);
  run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes + (64 << 20)}`, 'tmpfs', memory]);
  opened.defer(() => {
    unmount(memory);
  });
  const image = join(memory, 'image');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  run('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
  run('mount', ['-o', 'loop', image, path]);
  opened.defer(() => {
    unmount(path);
  });
  const lasting = opened.move();
  return {
    path,
    memory,
    bindTo(place) {
      run('mount', ['--bind', path, place]);
      return { [Symbol.dispose]: () => unmount(place) };
    },
    [Symbol.dispose]: () => lasting.dispose(),
  };
}

function requireMemory(sizeBytes: number): void {
  const free = Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
  if (free >= 2 * sizeBytes) return;
  throw new AppError(
    'full',
    `A disk of ${formatSize(sizeBytes)} in memory wants twice that free, and ${formatSize(free)} are`,
  );
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/**
 * Another program's mount namespace, as a container's, may hold it for as long as that lives, so it is not waited
 * for.
 */
function unmount(place: string): void {
  run('umount', ['--lazy', place]);
}
