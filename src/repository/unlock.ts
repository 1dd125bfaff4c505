import { AppError, isAppError } from '../model/errors.ts';
import type { FileCodec } from './format/repository-file.ts';
import { loadLock, whyStale } from './lock.ts';
import type { LockHolder, UnlockOptions, UnlockReport } from './types.ts';

/** Removes the locks that no process can still hold, or all of them. */
export async function unlockRepository(codec: FileCodec, options: UnlockOptions): Promise<UnlockReport> {
  const removed: LockHolder[] = [];
  const kept: LockHolder[] = [];
  for (const { name } of await codec.store.list('locks', options)) {
    const holder = await describeLock(codec, name);
    if (!holder) continue;
    if (holder.stale === undefined && !options.all) {
      kept.push(holder);
      continue;
    }
    if (!options.dryRun) await codec.store.remove('locks', name, options);
    removed.push(holder);
  }
  return { removed, kept };
}

/** Undefined for a lock that was removed after the listing. */
async function describeLock(codec: FileCodec, id: string): Promise<LockHolder | undefined> {
  try {
    const lock = await loadLock(codec, id);
    const { time, exclusive, hostname, username, pid } = lock;
    const stale = await whyStale(codec, { name: id, lock }, { byHand: true });
    return { id, time, exclusive, hostname, username, pid, isReadable: true, stale };
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    if (!(error instanceof AppError) || error.code !== 'integrity') throw error;
    // An unreadable lock has no known owner, so it cannot be known to be dead.
    const unknown = { time: '', exclusive: true, hostname: '', username: '', pid: 0 };
    return { id, ...unknown, isReadable: false, stale: undefined };
  }
}
