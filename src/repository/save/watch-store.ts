import type { SaveScheduler } from './save-scheduler.ts';
import { readFileSync } from 'node:fs';

/** Containers do not stand still longer than this for a store that accepts nothing. */
const storeStallMs = 20_000;
/** More than this process writes for anything else meanwhile. */
const leastBytes = 256 * 1024;

/**
 * Reports once, in words, when reading waits for a store that accepts nothing: an unreachable store is
 * retried for many minutes. A slow store takes long for a piece of work, but bytes go out all the while. Ends
 * with its disposal.
 */
export function watchStore(
  scheduler: Pick<SaveScheduler, 'stalledForMs'>,
  onStall: (reason: string) => void,
  { stallMs = storeStallMs, everyMs = 1000, written = bytesWritten } = {},
): Disposable {
  let seenBytes = written();
  let seenAt = performance.now();
  const timer = setInterval(() => {
    const bytes = written();
    if (bytes - seenBytes >= leastBytes) {
      seenBytes = bytes;
      seenAt = performance.now();
    }
    if (Math.min(scheduler.stalledForMs(), performance.now() - seenAt) < stallMs) return;
    clearInterval(timer);
    onStall(`the repository has taken nothing for ${Math.round(stallMs / 1000)} s`);
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/**
 * How many bytes all threads of this process have written to files, pipes and sockets so far. 0 where the
 * kernel does not count them.
 */
function bytesWritten(): number {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
