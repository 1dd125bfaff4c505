import type { SnapshotRepairReport } from '../repository/index.ts';
import { chooseSnapshots, findContext, type SnapshotSources } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';

export interface SnapshotRepairRequest {
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly forget: boolean;
  readonly dryRun: boolean;
}

/** Replaces damaged snapshots by new ones, without what is lost. */
export async function repairSnapshots(
  sources: SnapshotSources,
  { references, forget, dryRun }: SnapshotRepairRequest,
  options: JobOptions,
): Promise<SnapshotRepairReport> {
  const snapshotIds =
    references.length === 0
      ? undefined
      : chooseSnapshots(references, await findContext(sources, options)).map(({ id }) => id);
  const { signal, onProgress } = options;
  return await sources.repository.repairSnapshots({ snapshotIds, forget, dryRun, signal, onProgress });
}
