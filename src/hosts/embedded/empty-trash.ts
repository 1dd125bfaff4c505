import type { CallOptions } from '../host.ts';
import type { TrashedVolume } from '../managed-volumes.ts';
import type { EmbeddedParts } from './embedded-parts.ts';
import { settleVolumes } from './settle-volumes.ts';
import { deleteTrashed, describeTrashed, findTrashed, listTrashed } from './volume-trash.ts';

/** For good. Gives back what went: another may have taken some of it meanwhile. */
export async function emptyTrash(
  parts: EmbeddedParts,
  which: 'expired' | 'all' | readonly string[],
  { signal }: CallOptions,
): Promise<TrashedVolume[]> {
  const all = await listTrashed(parts);
  const now = new Date().toISOString();
  const chosen =
    which === 'all'
      ? all
      : which === 'expired'
        ? all.filter(({ record }) => record.expiresAt <= now)
        : which.map((one) => findTrashed(all, one));
  const gone: TrashedVolume[] = [];
  if (chosen.length > 0) await settleVolumes(parts);
  for (const trashed of chosen) {
    const described = await describeTrashed(parts, trashed);
    if (await deleteTrashed(parts, trashed, signal)) gone.push(described);
  }
  return gone;
}
