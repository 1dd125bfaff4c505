import { type AppError, isAppError } from '../../model/errors.ts';
import type { CallOptions } from '../../hosts/host.ts';
import type { EmptiedTrash, TrashedVolume } from '../../hosts/managed-volumes.ts';
import type { EmbeddedParts } from './embedded-parts.ts';
import { settleVolumes } from './settle-volumes.ts';
import {
  deleteTrashed,
  describeTrashed,
  expireTrashed,
  findTrashed,
  listTrashed,
  type Trashed,
} from './volume-trash.ts';
import { stateError } from './volume-folders.ts';

/** For good. One that cannot be deleted keeps none of the others; another process may have taken some of it meanwhile. */
export async function emptyTrash(
  parts: EmbeddedParts,
  which: 'expired' | 'all' | readonly string[],
  { signal }: CallOptions,
): Promise<EmptiedTrash> {
  const all = await listTrashed(parts);
  const now = new Date().toISOString();
  const chosen =
    which === 'all'
      ? all
      : which === 'expired'
        ? all.filter(({ record }) => record.expiresAt <= now)
        : which.map((one) => findTrashed(all, one));
  const drop = which === 'expired' ? expireTrashed : deleteTrashed;
  const deleted: TrashedVolume[] = [];
  const failures: { name: string; error: AppError }[] = [];
  if (chosen.length > 0) await settleVolumes(parts);
  for (const trashed of chosen) {
    try {
      const described = await describeTrashed(parts, trashed);
      if (await drop(parts, trashed, signal)) deleted.push(described);
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      failures.push({ name: trashed.record.name, error: explain(trashed, error) });
    }
  }
  return { deleted, failures };
}

function explain({ record: { name } }: Trashed, error: unknown): AppError {
  return stateError(`Cannot delete volume "${name}" from the trash`, error);
}
