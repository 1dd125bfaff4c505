import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import type { BackupOutcome } from './backup-types.ts';
import { failedBackup } from './failed-backup.ts';
import { rememberAnomalies } from './judge-saved.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { SaveWork } from './save-held.ts';
import { tellOfBackup } from './tell-of-backup.ts';

interface RunToRecord {
  readonly work: SaveWork;
  readonly described: VolumeDescription;
  readonly startedAt: string;
  readonly outcome: BackupOutcome;
}

/** Writes down what became of a target, and tells who has to hear of it. A dry run leaves no trace. */
export async function recordRun(
  parts: Protection,
  { work, described, startedAt, outcome }: RunToRecord,
  options: JobOptions,
): Promise<void> {
  const { dryRun, marks: tags = [] } = work.request;
  if (dryRun) return;
  // Before it is known as a run: what is known is taken for judged.
  const found = { outcome, volumeIdentity: described.identity, repositoryId: work.repository.id, tags };
  await rememberAnomalies(parts, found, options);
  const catalog = await parts.catalog();
  catalog.recordRun({
    volumeIdentity: described.identity,
    volumeName: described.name,
    repositoryId: work.repository.id,
    snapshotId: outcome.snapshot?.id,
    outcome: outcome.outcome,
    startedAt,
    finishedAt: new Date(parts.now()).toISOString(),
    message: outcome.error?.message ?? outcome.problems[0]?.message ?? missingInWords(outcome),
  });
  await tellOfBackup(parts, { outcome, repositoryId: work.repository.id, stack: described.stack, tags });
}

function missingInWords({ snapshot }: BackupOutcome): string | undefined {
  const missing = snapshot?.missing ?? [];
  return missing.length === 0 ? undefined : `The restore point lacks ${missing.map(quote).join(', ')}`;
}

interface FailureToRecord {
  readonly work: SaveWork;
  readonly described: VolumeDescription | undefined;
  readonly startedAt: string;
  readonly error: unknown;
}

/** Writes down that a target was not saved. One that was not even found is only told of. */
export async function recordFailure(
  parts: Protection,
  { work, described, startedAt, error }: FailureToRecord,
  options: JobOptions,
): Promise<BackupOutcome> {
  const known =
    options.signal?.aborted === true
      ? cancelled(error)
      : knownError(error, `Cannot back up ${quote(work.target.name)}`);
  const outcome = failedBackup(work.target, known);
  if (described !== undefined) await recordRun(parts, { work, described, startedAt, outcome }, options);
  else if (!work.request.dryRun)
    await tellOfBackup(parts, {
      outcome,
      repositoryId: work.repository.id,
      stack: undefined,
      tags: work.request.marks ?? [],
    });
  return outcome;
}

function cancelled(cause: unknown): AppError {
  return new AppError('cancelled', 'Cancelled', { cause });
}
