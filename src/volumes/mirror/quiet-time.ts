import { closeSync, openSync } from 'node:fs';
import { type ByteString, toPath } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { syncFilesystemLater } from '../../lib/posix.ts';

export interface QuietTime {
  /** True for what was changed long enough before: what is written to it from now on leaves a trace in its times. */
  readonly isQuiet: (changedNs: bigint) => boolean;
  /** False when the clock was set since, so that times tell nothing. */
  readonly isClockSteady: () => boolean;
}

/** Younger changes are not trusted: a page that is dirty already can be written to without a trace. */
const restlessMs = 1000;
const maxDriftMs = 250;

/** Has everything written down first, so that the kernel notes the next write through a memory map. */
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

/** Of all of the file system. */
export async function writePagesDown(root: ByteString): Promise<void> {
  const fd = openSync(toPath(root), 'r');
  try {
    if (!(await syncFilesystemLater(fd)))
      throw new AppError('failed', 'The disk reports an error while the data is written down');
  } finally {
    closeSync(fd);
  }
}
