import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import type { BackupOutcome, BackupRequest } from '../backup/backup-types.ts';
import { describeVolume } from '../backup/describe-volume.ts';
import { safetyTag } from '../snapshots/find-snapshot.ts';
import type { JobOptions, Protection } from '../activity/protection.ts';
import { saveHeld } from '../backup/save-held.ts';
import type { BackupTarget } from '../volumes/targets.ts';
import type { Treatment } from '../backup/treatment.ts';

/** Data that could not be saved whole is not replaced. */
export async function saveSafety(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<Snapshot> {
  const { snapshot, problems } = await saveBeforeRestore(parts, target, options);
  if (snapshot !== undefined && problems.length === 0) return snapshot;
  throw new AppError('partial', `Cannot save what is in ${quote(target.name)} now, so it is not replaced`, {
    detail: problems
      .slice(0, 5)
      .map((problem) => problem.message)
      .join('\n'),
    hint: 'Put this right, or go without: --no-safety-snapshot.',
  });
}

export async function asTarget(
  parts: Protection,
  volume: Volume,
  options: JobOptions,
): Promise<BackupTarget> {
  const host = await (await parts.host()).info({ signal: options.signal });
  return { kind: 'volume', name: volume.name, volume, host };
}

/** Saves what a restore is about to replace. The lease is held. */
async function saveBeforeRestore(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<BackupOutcome> {
  const request: BackupRequest = {
    targets: [],
    all: false,
    stacks: [],
    marks: [safetyTag],
    dryRun: false,
  };
  const volume = await describeVolume(parts, target, options);
  const repository = await parts.repository();
  // Applications were made still already, or are no more.
  const isSafety = true;
  const treatments = new Map<BackupTarget, Treatment>();
  const work = { target, targets: [target], request, repository, treatments, volume, isSafety };
  const [outcome] = await saveHeld(parts, [work], options);
  if (outcome === undefined) throw new AppError('failed', `Nothing of ${quote(target.name)} was saved`);
  if (outcome.error !== undefined) throw outcome.error;
  return outcome;
}
