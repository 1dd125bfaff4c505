import { constants, readSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { closeQuickly, openAt, statAt, unlinkAt } from '../../lib/posix-at.ts';
import { AppError } from '../../model/errors.ts';
import type { Measure, MeasureName } from '../../model/benchmark.ts';
import { percentiles } from './simple-test.ts';

const smallFileBytes = 4096;
const mostFiles = { quick: 1000, full: 5000 };

/** How many are measured: they take no more than the room that was asked for. */
export function smallFileCount(roomBytes: number, { isQuick }: { readonly isQuick: boolean }): number {
  return Math.min(isQuick ? mostFiles.quick : mostFiles.full, Math.floor(roomBytes / smallFileBytes));
}

/**
 * Makes, looks at, reads and removes small files in a folder of the benchmark's own, each by its name in the
 * open folder: a link that a container puts there is refused.
 */
export async function measureSmallFiles(
  folder: DirectoryHandle,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal | undefined },
): Promise<Measure[]> {
  const { O_CREAT, O_EXCL, O_WRONLY, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const content = Buffer.alloc(smallFileBytes, 'holdfast');
  const each = async (measure: MeasureName, act: (file: string) => void): Promise<Measure> =>
    await timed(measure, { count, signal, act });
  return [
    await each('files-create', (file) => {
      const fd = openAt(folder.fd, file, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW);
      try {
        writeSync(fd, content);
      } finally {
        closeQuickly(fd);
      }
    }),
    await each('files-stat', (file) => void statAt(folder.fd, file)),
    await each('files-read', (file) => {
      // Not blocking: a container may have put a pipe there.
      const fd = openAt(folder.fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        readSync(fd, content, 0, smallFileBytes, 0);
      } finally {
        closeQuickly(fd);
      }
    }),
    await each('files-remove', (file) => unlinkAt(folder.fd, file)),
  ];
}

interface TimedWork {
  readonly count: number;
  readonly signal: AbortSignal | undefined;
  readonly act: (file: string) => void;
}

async function timed(name: MeasureName, { count, signal, act }: TimedWork): Promise<Measure> {
  const times: number[] = [];
  for (let file = 0; file < count; file += 1) {
    if (file % 32 === 0) await setImmediate();
    if (signal?.aborted === true) throw new AppError('cancelled', 'Cancelled while measuring');
    const before = performance.now();
    act(`f${file}`);
    times.push(performance.now() - before);
  }
  const rate = (count / times.reduce((sum, time) => sum + time, 0)) * 1000;
  return { name, rate, latency: percentiles(times) };
}
