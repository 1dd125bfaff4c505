import { isAppError } from '../model/errors.ts';
import type { CheckReport, Repository } from '../repository/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { JobOptions } from '../activity/index.ts';

export interface CheckRequest {
  /** The percentage of the data to read; 0 to 100. */
  readonly readDataPercent: number;
}

/**
 * Checks the repository, and records which snapshots are proven whole: "forget" never removes the newest of
 * them.
 */
export async function checkAll(
  { repository, catalog }: { readonly repository: Repository; readonly catalog: Catalog },
  { readDataPercent }: CheckRequest,
  { signal, onProgress, onNote }: JobOptions,
): Promise<CheckReport> {
  const report = await repository.check({ readDataPercent, signal, onProgress });
  try {
    remember(catalog, repository.id, { report, isProof: readDataPercent === 100 });
  } catch (error) {
    // The result matters more than recording it.
    if (!isAppError(error)) throw error;
    onNote?.(`Which snapshots are verified is not remembered: ${error.message}.`);
  }
  try {
    const check = report.errors.length === 0 ? 'good' : 'failed';
    const at = new Date().toISOString();
    catalog.noteRepository(repository.id, { at, check, sizeBytes: report.packBytes });
  } catch (error) {
    // For metrics only.
    if (!isAppError(error)) throw error;
  }
  return report;
}

interface Checked {
  readonly report: CheckReport;
  /** All data was read. A partial read cannot prove a snapshot whole, but may prove that it no longer is. */
  readonly isProof: boolean;
}

function remember(catalog: Catalog, repositoryId: string, { report, isProof }: Checked): void {
  const whole = new Set(report.wholeSnapshots);
  const known = catalog.listVerifiedSnapshots(repositoryId);
  const snapshotIds = isProof ? [...whole] : known.filter((id) => whole.has(id));
  if (!isProof && snapshotIds.length === known.length) return;
  const verifiedAt = new Date().toISOString();
  catalog.setVerifiedSnapshots(repositoryId, { snapshotIds, verifiedAt });
}
