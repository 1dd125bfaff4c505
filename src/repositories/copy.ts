import type { CopyReport, Repository } from '../repository/index.ts';
import { chooseSnapshots, findContext } from '../snapshots/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';

/** A repository other than the configured one. */
export interface OtherRepository {
  /** Its name or its location. */
  readonly repository: string;
  /** `file:/path`, `env:NAME` or `exec:command`; undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
}

export interface CopyParts extends Protection {
  openOther(request: OtherRepository): Promise<Repository>;
}

export interface CopyRequest {
  readonly to: OtherRepository;
  /** Snapshots, or volumes for all of theirs; empty means all. */
  readonly references: readonly string[];
  readonly dryRun: boolean;
}

/** Copies snapshots into another repository, for a second place. */
export async function copy(
  parts: CopyParts,
  { to, references, dryRun }: CopyRequest,
  options: JobOptions,
): Promise<CopyReport> {
  const source = await parts.repository();
  const target = await parts.openOther(to);
  const snapshotIds =
    references.length === 0
      ? undefined
      : chooseSnapshots(references, await findContext(parts, options)).map(({ id }) => id);
  const { signal, onProgress } = options;
  return await source.copyTo(target, { snapshotIds, dryRun, signal, onProgress });
}
