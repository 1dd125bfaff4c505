import type { CopyReport, Repository } from '../repository/index.ts';
import { chooseSnapshots, findContext, type SnapshotSources } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';

/** A repository other than the configured one. */
export interface OtherRepository {
  /** Its name or its location. */
  readonly repository: string;
  /** `file:/path`, `env:NAME` or `exec:command`; undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
}

export interface CopyRequest {
  readonly to: OtherRepository;
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly dryRun: boolean;
}

/** Copies snapshots into another repository, for a second place. */
export async function copy(
  sources: SnapshotSources,
  { target, references, dryRun }: Omit<CopyRequest, 'to'> & { readonly target: Repository },
  options: JobOptions,
): Promise<CopyReport> {
  const snapshotIds =
    references.length === 0
      ? undefined
      : chooseSnapshots(references, await findContext(sources, options)).map(({ id }) => id);
  const { signal, onProgress } = options;
  return await sources.repository.copyTo(target, { snapshotIds, dryRun, signal, onProgress });
}
