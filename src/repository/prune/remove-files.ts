import { AppError } from '../../model/errors.ts';
import type { FileType } from '../stores/store.ts';
import type { PruneWork } from './prune-work.ts';

export interface FilesToRemove {
  readonly type: FileType;
  readonly names: readonly string[];
  /** For the progress. */
  readonly phase: string;
}

const atOnce = 16;

/** Removes files, a few at a time, as long as the lock is held. */
export async function removeFiles(work: PruneWork, { type, names, phase }: FilesToRemove): Promise<void> {
  for (let done = 0; done < names.length; done += atOnce) {
    if (work.signal?.aborted) throw new AppError('cancelled', 'The prune was stopped');
    await work.lock.assertHeld();
    const some = names.slice(done, done + atOnce);
    await Promise.all(some.map((name) => work.codec.store.remove(type, name, { signal: work.signal })));
    work.onProgress?.({
      phase,
      filesDone: done + some.length,
      filesTotal: names.length,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}
