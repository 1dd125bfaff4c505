import type { AppError } from '../model/errors.ts';
import type { Protection, JobOptions } from '../activity/index.ts';
import { orderSnapshots, type SnapshotOrder } from './snapshot-order.ts';

/** The number of this machine's last backups that are evidence of the order. */
const runsAtMost = 5000;

export interface KnownOrder extends SnapshotOrder {
  /** Why a snapshot cannot be read, by its id. */
  readonly damaged: ReadonlyMap<string, AppError>;
}

/** All snapshots of the repository, in the order in which they were saved as far as that is known. */
export async function listInKnownOrder(
  parts: Pick<Protection, 'repository' | 'catalog'>,
  { signal }: JobOptions,
): Promise<KnownOrder> {
  const repository = await parts.repository();
  const damaged = new Map<string, AppError>();
  const storedMs = new Map<string, number>();
  const listed = await repository.listSnapshots({
    signal,
    onDamaged: (id, error) => void damaged.set(id, error),
    onStored: (id, ms) => void storedMs.set(id, ms),
  });
  const runs = (await parts.catalog()).listRuns({ limit: runsAtMost });
  const saved = runs.flatMap(({ snapshotId }) => snapshotId ?? []).toReversed();
  return { ...orderSnapshots(listed, { nowMs: Date.now(), storedMs, saved }), damaged };
}
