import { closeSync, openSync } from 'node:fs';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { syncFilesystemLater } from '../../lib/posix.ts';

export interface QuietTime {
  /** True for an entry whose last change is old enough: a write from now on leaves a trace in its times. */
  readonly isQuiet: (changedNs: bigint) => boolean;
  /** False when the clock was set since, so that times prove nothing. */
  readonly isClockSteady: () => boolean;
}

/** Younger changes are not trusted: a page that is already dirty can be written to without a trace. */
const restlessMs = 1000;
const maxDriftMs = 250;

/** Flushes everything first, so that the kernel notices the next write through a memory map. */
export async function quietSince(root: ByteString): Promise<QuietTime> {
  const startMs = Date.now();
  const offset = startMs - performance.now();
  await writePagesDown(root);
  const limit = BigInt(startMs - restlessMs) * 1_000_000n;
  return {
    isQuiet: (changedNs) => changedNs < limit,
    isClockSteady: () => Math.abs(Date.now() - performance.now() - offset) < maxDriftMs,
  };
}

/** For the whole file system. */
export async function writePagesDown(root: ByteString): Promise<void> {
  const fd = openSync(toPath(root), 'r');
  try {
    if (!(await syncFilesystemLater(fd)))
      throw new AppError('failed', 'The disk reports an error while the data is written down');
  } finally {
    closeSync(fd);
  }
}
