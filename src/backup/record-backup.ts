import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import type { BackupOutcome } from './backup-types.ts';
import { rememberAnomalies } from './judge-saved.ts';
import type { JobOptions } from '../activity/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Repository } from '../repository/index.ts';
import type { BackupTarget } from '../volumes/index.ts';
import { type Told, tellOfBackup } from './tell-of-backup.ts';

/** What all targets of one moment share. */
interface Run {
  readonly startedAt: string;
  readonly repository: Pick<Repository, 'id'>;
  readonly dryRun: boolean;
  /** They name the policy. */
  readonly marks: readonly string[];
}

interface RecordMeans extends Told {
  readonly catalog: Catalog;
}

interface RunToRecord {
  readonly run: Run;
  readonly volume: VolumeDescription;
  readonly outcome: BackupOutcome;
}

/** Records a target's outcome, and notifies. A dry run leaves no trace. */
export async function recordRun(
  means: RecordMeans,
  { run, volume, outcome }: RunToRecord,
  options: JobOptions,
): Promise<void> {
  const { startedAt, repository, dryRun, marks: tags } = run;
  if (dryRun) return;
  // Before the run is recorded: recorded runs count as judged.
  const found = { outcome, volumeIdentity: volume.identity, repositoryId: repository.id, tags };
  const { catalog } = means;
  rememberAnomalies(catalog, found, options);
  catalog.recordRun({
    volumeIdentity: volume.identity,
    volumeName: volume.name,
    repositoryId: repository.id,
    snapshotId: outcome.snapshot?.id,
    outcome: outcome.outcome,
    startedAt,
    finishedAt: new Date().toISOString(),
    message: outcome.error?.message ?? outcome.problems[0]?.message ?? missingInWords(outcome),
    grade: outcome.grade,
    stillMs: outcome.evidence?.stillMs,
  });
  await tellOfBackup(means, { outcome, repositoryId: repository.id, stack: volume.stack, tags });
}

function missingInWords({ snapshot }: BackupOutcome): string | undefined {
  const missing = snapshot?.missing ?? [];
  return missing.length === 0 ? undefined : `The restore point lacks ${missing.map(quote).join(', ')}`;
}

interface FailureToRecord {
  readonly run: Run;
  readonly target: BackupTarget;
  readonly volume: VolumeDescription | undefined;
  readonly error: unknown;
}

/** Records that a target was not saved. One that was not even found is only reported. */
export async function recordFailure(
  means: RecordMeans,
  { run, target, volume, error }: FailureToRecord,
  options: JobOptions,
): Promise<BackupOutcome> {
  const known =
    options.signal?.aborted === true
      ? cancelled(error)
      : knownError(error, `Cannot back up ${quote(target.name)}`);
  const outcome = failedBackup(target, known);
  const { repository, dryRun, marks: tags } = run;
  if (volume !== undefined) await recordRun(means, { run, volume, outcome }, options);
  else if (!dryRun)
    await tellOfBackup(means, { outcome, repositoryId: repository.id, stack: undefined, tags });
  return outcome;
}

function cancelled(cause: unknown): AppError {
  return new AppError('cancelled', 'Cancelled', { cause });
}

/** The outcome for a target of which nothing was saved. */
export function failedBackup(target: BackupTarget, error: AppError): BackupOutcome {
  return {
    kind: target.kind,
    name: target.name,
    outcome: error.code === 'cancelled' ? 'cancelled' : 'failed',
    snapshot: undefined,
    summary: undefined,
    grade: undefined,
    gradeReason: undefined,
    problems: [],
    limits: [],
    error,
  };
}
