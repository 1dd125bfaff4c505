import type { SnapshotRepairReport } from '../repository/index.ts';
import { chooseSnapshots, findContext } from '../snapshots/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';

export interface SnapshotRepairRequest {
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly forget: boolean;
  readonly dryRun: boolean;
}

/** Replaces damaged snapshots by new ones, without what is lost. */
export async function repairSnapshots(
  parts: Protection,
  { references, forget, dryRun }: SnapshotRepairRequest,
  options: JobOptions,
): Promise<SnapshotRepairReport> {
  const repository = await parts.repository();
  const snapshotIds = await idsOf(parts, references, options);
  const { signal, onProgress } = options;
  return await repository.repairSnapshots({ snapshotIds, forget, dryRun, signal, onProgress });
}

async function idsOf(
  parts: Protection,
  references: readonly string[],
  options: JobOptions,
): Promise<string[] | undefined> {
  if (references.length === 0) return undefined;
  return chooseSnapshots(references, await findContext(parts, options)).map(({ id }) => id);
}
