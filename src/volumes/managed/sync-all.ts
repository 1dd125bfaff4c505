import { closeSync, fsync, openSync } from 'node:fs';
import { promisify } from 'node:util';

const sync = promisify(fsync);

/**
 * Makes what was done in several folders, or with several files, durable: all at once, because a file system with a
 * journal writes it down once for all who wait for it together.
 */
export async function syncAll(paths: readonly string[]): Promise<void> {
  using opened = new DisposableStack();
  const fds = paths.map((path) => opened.adopt(openSync(path, 'r'), closeSync));
  await settled(fds);
}

/** No descriptor is closed while somebody waits for it. */
async function settled(fds: readonly number[]): Promise<void> {
  const ends = await Promise.allSettled(fds.map((fd) => sync(fd)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
