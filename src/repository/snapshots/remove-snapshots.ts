import { AppError } from '../../model/errors.ts';
import type { FileCodec } from '../format/repository-file.ts';
import type { RepositoryLock } from '../lock.ts';
import type { RemoveSnapshotsOptions } from '../types.ts';

export interface SnapshotWork {
  readonly codec: FileCodec;
  readonly lock: Pick<RepositoryLock, 'assertHeld'>;
}

/** Removes the records of snapshots, unless one that is meant to stay is gone. */
export async function removeSnapshots(
  { codec, lock }: SnapshotWork,
  ids: readonly string[],
  { staying = [], signal, onProgress }: RemoveSnapshotsOptions,
): Promise<void> {
  const there = new Set((await codec.store.list('snapshots', { signal })).map(({ name }) => name));
  const gone = staying.find((id) => !there.has(id));
  if (gone !== undefined) {
    throw new AppError('conflict', `Snapshot "${gone.slice(0, 8)}", which was to stay, is gone`, {
      detail: 'Another program removed it meanwhile. Nothing was removed here.',
      hint: 'Run the command again: it looks at what there is now.',
    });
  }
  const removed = ids.filter((id) => there.has(id));
  for (const [done, id] of removed.entries()) {
    if (signal?.aborted) throw new AppError('cancelled', 'The work was stopped');
    await lock.assertHeld();
    await codec.store.remove('snapshots', id, { signal });
    onProgress?.({
      phase: 'removing snapshots',
      filesDone: done + 1,
      filesTotal: removed.length,
      bytesDone: 0,
      bytesTotal: undefined,
      current: undefined,
    });
  }
}
