import { finishMigration, hasMigrationMark } from './marks.ts';
import { settleVolume } from './settle-volumes.ts';
import { lockVolumeFolder } from './volume-lock.ts';
import { requireRecord, type Storage, storageOf, type VolumeState, type VolumeWork } from './volume-state.ts';

/**
 * Runs work on a volume under its lock. `not-found` when there is none, `integrity` when its folder is gone.
 */
export async function withVolume<T>(
  state: VolumeState,
  { name, action, signal }: VolumeWork,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  requireRecord(state, { name, action });
  using lock = await lockVolumeFolder(state.folders.path(name), { name, action, signal });
  if (lock !== undefined && hasMigrationMark(state.folders.path(name))) await finishMigration(state, name);
  // It may have been removed, or changed, during the wait.
  const record = requireRecord(state, { name, action });
  if (lock === undefined) await state.folders.check(name);
  await settleVolume(state, name);
  return await work(await storageOf(state, record));
}
