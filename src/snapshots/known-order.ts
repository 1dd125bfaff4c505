import type { AppError } from '../model/errors.ts';
import type { JobOptions } from '../activity/index.ts';
import type { SnapshotSources } from './sources.ts';
import { orderSnapshots, type SnapshotOrder } from './snapshot-order.ts';

/** The number of this machine's last backups that are evidence of the order. */
const runsAtMost = 5000;

export interface KnownOrder extends SnapshotOrder {
  /** Why a snapshot cannot be read, by its id. */
  readonly damaged: ReadonlyMap<string, AppError>;
}

/** All snapshots of the repository, in the order in which they were saved as far as that is known. */
export async function listInKnownOrder(
  { repository, catalog }: Pick<SnapshotSources, 'repository' | 'catalog'>,
  { signal }: JobOptions,
): Promise<KnownOrder> {
  const damaged = new Map<string, AppError>();
  const storedMs = new Map<string, number>();
  const listed = await repository.listSnapshots({
    signal,
    onDamaged: (id, error) => void damaged.set(id, error),
    onStored: (id, ms) => void storedMs.set(id, ms),
  });
  const runs = catalog.listRuns({ limit: runsAtMost });
  const saved = runs.flatMap(({ snapshotId }) => snapshotId ?? []).toReversed();
  return { ...orderSnapshots(listed, { nowMs: Date.now(), storedMs, saved }), damaged };
}
