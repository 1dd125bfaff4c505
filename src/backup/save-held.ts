import { randomBytes } from 'node:crypto';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import type { Repository } from '../repository/index.ts';
import type { BackupOutcome, BackupRequest } from './backup-types.ts';
import { failedBackup } from './failed-backup.ts';
import { judgeSaved } from './judge-saved.ts';
import { listInKnownOrder, noteDamaged } from '../snapshots/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { saveStill, type StillLost, type StillSaved, type StillTarget } from './save-still.ts';
import type { BackupTarget } from '../volumes/index.ts';
import { chooseSettings, type BackupSettings } from './choose-settings.ts';

/** What is the same for all that are saved at one moment. */
export interface GroupWork {
  readonly targets: readonly BackupTarget[];
  readonly request: BackupRequest;
  readonly repository: Repository;
  readonly allSettings: ReadonlyMap<BackupTarget, BackupSettings>;
}

export interface SaveWork extends Omit<GroupWork, 'targets'> {
  readonly target: BackupTarget;
}

export interface DescribedWork extends SaveWork {
  /** All that were to be saved at the same moment, whether they could be taken or not. */
  readonly targets: readonly BackupTarget[];
  readonly volume: VolumeDescription;
  readonly isSafety?: boolean;
}

/** Still, save, verify: what a backup is, in the order of the works. The leases are held. */
export async function saveHeld(
  parts: Protection,
  works: readonly DescribedWork[],
  options: JobOptions,
): Promise<BackupOutcome[]> {
  const [first] = works;
  if (first === undefined) return [];
  const { request, repository } = first;
  const { snapshots: earlier, damaged } = await listInKnownOrder(parts, options);
  for (const id of damaged.keys()) noteDamaged(id, options);
  const saved = await saveStill(
    parts,
    {
      targets: withParents(works, earlier),
      repository,
      marks: request.marks ?? [],
      dryRun: request.dryRun,
      withApplications: first.isSafety !== true,
      restorePoint: isRestorePoint(works) ? randomBytes(8).toString('hex') : undefined,
      missing: first.targets.flatMap((target) =>
        works.some((work) => work.target === target) ? [] : [target.name],
      ),
    },
    options,
  );
  for (const one of saved)
    if (!isLost(one) && one.result.snapshot !== undefined)
      await verifySaved(repository, one.result.snapshot, options);
  const catalog = await parts.catalog();
  const outcomes: BackupOutcome[] = [];
  for (const work of works) {
    const { target } = work;
    const one = saved.find((found) => found.target === target);
    if (one === undefined)
      throw new AppError('failed', `It is not known what became of ${quote(target.name)}`);
    if (isLost(one)) outcomes.push(failedBackup(target, one.error));
    else {
      const anomalies = await judgeSaved(catalog, { ...one.result, repository, earlier }, options);
      outcomes.push({ ...success(one), anomalies, settings: backupSettingsOf(work).said });
    }
  }
  return outcomes;
}

function isLost(one: StillSaved | StillLost): one is StillLost {
  return 'error' in one;
}

/**
 * Volumes of a stack that were to be read at one moment, whether all of them could be or not. One of several that was asked
 * for by itself is no moment of the stack.
 */
function isRestorePoint(works: readonly DescribedWork[]): boolean {
  const [first] = works;
  const isStack = first?.target.kind === 'volume' && first.target.volume.stack !== undefined;
  if (!isStack || first.isSafety === true) return false;
  if (first.targets.length === 1 && (first.volume.stackVolumes ?? []).length > 1) return false;
  const live = works.map(backupSettingsOf).filter(({ consistency }) => consistency === 'live');
  // A cache that its own label lets be written to has no say in what the others are.
  return live.length < works.length && live.every(({ consistencyBy }) => consistencyBy === 'own');
}

function backupSettingsOf({ target, allSettings }: SaveWork): BackupSettings {
  return allSettings.get(target) ?? chooseSettings({}, []);
}

function withParents(works: readonly DescribedWork[], earlier: readonly Snapshot[]): StillTarget[] {
  return works.map((work) => ({
    target: work.target,
    volume: work.volume,
    settings: backupSettingsOf(work),
    parent: earlier.findLast((snapshot) => snapshot.volume?.identity === work.volume.identity),
  }));
}

/** Reads the snapshot's record and the root of its tree back: what is reported saved can be opened. */
async function verifySaved(repository: Repository, saved: Snapshot, options: JobOptions): Promise<void> {
  try {
    for await (const entry of repository.walk(saved, '', { depth: 0, signal: options.signal }))
      if (entry.path === '') return;
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
  }
  throw notReadable(saved);
}

function notReadable(saved: Snapshot): AppError {
  return new AppError(
    'integrity',
    `The snapshot "${saved.id.slice(0, 8)}" was written and cannot be read back`,
    {
      hint: 'Run "holdfast check", and look for faults of the disk.',
    },
  );
}

function success({ target, result, graded, evidence, limits, hookFailures }: StillSaved): BackupOutcome {
  const failedHooks = hookFailures.map(
    ({ message }) => ({ path: '', reason: 'unreadable', message }) as const,
  );
  const problems = [...result.problems, ...failedHooks];
  return {
    kind: target.kind,
    name: target.name,
    outcome: problems.length > 0 ? 'partial' : 'good',
    snapshot: result.snapshot,
    summary: result.summary,
    grade: graded.grade,
    gradeReason: graded.reason,
    evidence,
    problems,
    limits,
    error: undefined,
  };
}
