import { randomBytes } from 'node:crypto';
import { knownError } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { RunRecord } from '../catalog/catalog.ts';
import type {
  Grade,
  GradeEvidence,
  SaveProblem,
  Snapshot,
  SnapshotSummary,
  VolumeDescription,
} from '../model/snapshot.ts';
import type { Repository } from '../repository/index.ts';
import type { Anomaly } from './anomaly.ts';
import { describeVolume } from './describe-volume.ts';
import { safetyTag } from './find-snapshot.ts';
import { judgeSaved, rememberAnomalies } from './judge-saved.ts';
import { takeLease } from './lease.ts';
import type { JobOptions, Protection } from './protection.ts';
import type { StillSaved, StillTarget } from './quiesce/save-still.ts';
import { settleHeld } from './settle.ts';
import { noteDamaged } from './snapshots.ts';
import { tellingOfFailure, tellOfBackup } from './tell-of-backup.ts';
import { type BackupTarget, type TargetWish, resolveTargets } from './targets.ts';
import {
  chooseTreatment,
  chooseTreatments,
  type SaidSetting,
  type Treatment,
  type TreatmentWish,
} from './treatment.ts';

export interface BackupRequest extends TargetWish, TreatmentWish {
  readonly dryRun: boolean;
  /** Tags that every snapshot has besides, whatever is said of tags. */
  readonly marks?: readonly string[] | undefined;
}

/** What became of one volume or directory. */
export interface BackupOutcome {
  readonly kind: 'volume' | 'path';
  readonly name: string;
  readonly outcome: RunRecord['outcome'];
  /** Undefined for a dry run, and where nothing was saved. */
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary | undefined;
  readonly grade: Grade | undefined;
  readonly gradeReason: string | undefined;
  /** Why it has that grade, as it is recorded. */
  readonly evidence?: GradeEvidence | undefined;
  readonly problems: readonly SaveProblem[];
  /** What the way to the data cannot carry. */
  readonly limits: readonly string[];
  /** What looks like damage, beside what was saved before. */
  readonly anomalies?: readonly Anomaly[] | undefined;
  /** What somebody has said of how it is saved, and where; undefined where nobody got as far as to ask. */
  readonly settings?: readonly SaidSetting[] | undefined;
  readonly error: AppError | undefined;
}

export interface BackupReport {
  readonly dryRun: boolean;
  readonly outcomes: readonly BackupOutcome[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Saves each target as a snapshot, one after the other; one that fails does not keep the others from being saved. */
export async function backup(
  parts: Protection,
  request: BackupRequest,
  options: JobOptions,
): Promise<BackupReport> {
  const work = (): Promise<BackupReport> => backupAll(parts, request, options);
  return await tellingOfFailure(parts, request, { work, signal: options.signal });
}

async function backupAll(
  parts: Protection,
  request: BackupRequest,
  options: JobOptions,
): Promise<BackupReport> {
  // What is wrong with it is told before anything is asked.
  chooseTreatment({ given: request.given }, []);
  const { targets, skipped } = await resolveTargets(parts, request, options);
  const repository = await parts.repository();
  const treatments = await chooseTreatments(parts, { targets, wish: request }, options);
  if (!request.dryRun) (await parts.notifier()).begin(targets.map(({ name }) => name));
  const outcomes: BackupOutcome[] = [];
  for (const group of groupByStack(targets)) {
    const saved = await tryToSave(parts, { targets: group, request, repository, treatments }, options);
    outcomes.push(...saved);
    if (saved.some(({ error }) => error !== undefined && endsAll(error))) break;
  }
  return { dryRun: request.dryRun, outcomes, skipped };
}

/** The volumes of a stack are saved at one moment; all others each at its own. Pure. */
function groupByStack(targets: readonly BackupTarget[]): BackupTarget[][] {
  const groups = new Map<string, BackupTarget[]>();
  for (const target of targets) {
    const stack = target.kind === 'volume' ? target.volume.stack : undefined;
    const key = stack === undefined ? `${target.kind} ${target.name}` : `stack ${stack}`;
    groups.set(key, [...(groups.get(key) ?? []), target]);
  }
  return [...groups.values()];
}

interface GroupWork {
  readonly targets: readonly BackupTarget[];
  readonly request: BackupRequest;
  readonly repository: Repository;
  readonly treatments: ReadonlyMap<BackupTarget, Treatment>;
}

interface SaveWork extends Omit<GroupWork, 'targets'> {
  readonly target: BackupTarget;
}

/** Errors of the repository or the user's wish: to go on with the next target would only repeat them. */
function endsAll(error: AppError): boolean {
  return (
    error.code === 'cancelled' ||
    error.code === 'full' ||
    error.code === 'read-only' ||
    error.code === 'integrity'
  );
}

/** Takes the leases of a group and saves it. Who is taken by another process is told, and the others are saved. */
async function tryToSave(parts: Protection, work: GroupWork, options: JobOptions): Promise<BackupOutcome[]> {
  const startedAt = new Date(parts.now()).toISOString();
  const outcomes: BackupOutcome[] = [];
  const held: DescribedWork[] = [];
  await using leases = new AsyncDisposableStack();
  for (const target of work.targets) {
    const one = { ...work, target };
    let volume: VolumeDescription | undefined;
    try {
      volume = await describeVolume(parts, target, options);
      leases.use(await takeVolume(parts, { target, volume }, options));
      held.push({ ...one, volume });
    } catch (error) {
      outcomes.push(await tellFailure(parts, { work: one, described: volume, startedAt, error }, options));
    }
  }
  try {
    for (const [i, outcome] of (await saveHeld(parts, held, options)).entries()) {
      const one = held[i];
      if (one !== undefined)
        await recordRun(parts, { work: one, described: one.volume, startedAt, outcome }, options);
      outcomes.push(outcome);
    }
  } catch (error) {
    for (const one of held)
      outcomes.push(
        await tellFailure(parts, { work: one, described: one.volume, startedAt, error }, options),
      );
  }
  return outcomes;
}

interface FailureToTell {
  readonly work: SaveWork;
  readonly described: VolumeDescription | undefined;
  readonly startedAt: string;
  readonly error: unknown;
}

async function tellFailure(
  parts: Protection,
  { work, described, startedAt, error }: FailureToTell,
  options: JobOptions,
): Promise<BackupOutcome> {
  const known =
    options.signal?.aborted === true
      ? cancelled(error)
      : knownError(error, `Cannot back up ${quote(work.target.name)}`);
  const outcome = failure(work.target, known);
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

async function takeVolume(
  parts: Protection,
  { target, volume }: { readonly target: BackupTarget; readonly volume: VolumeDescription },
  options: JobOptions,
): Promise<AsyncDisposable> {
  const lease = await takeLease({
    stateDir: parts.stateDir,
    identity: volume.identity,
    name: target.name,
    action: 'back up',
  });
  try {
    await settleHeld(parts, target, options);
    return lease;
  } catch (error) {
    await lease[Symbol.asyncDispose]();
    throw error;
  }
}

/** Saves what a restore is about to replace. The lease is held. */
export async function saveBeforeRestore(
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
  return outcome;
}

interface DescribedWork extends SaveWork {
  /** All that were to be saved at the same moment, whether they could be taken or not. */
  readonly targets: readonly BackupTarget[];
  readonly volume: VolumeDescription;
  readonly isSafety?: boolean;
}

/** Still, save, verify: what a backup is. The leases are held. */
async function saveHeld(
  parts: Protection,
  works: readonly DescribedWork[],
  options: JobOptions,
): Promise<BackupOutcome[]> {
  const [first] = works;
  if (first === undefined) return [];
  const { request, repository } = first;
  const { saveStill } = await import('./quiesce/save-still.ts');
  const earlier = await repository.listSnapshots({
    signal: options.signal,
    onDamaged: (id) => noteDamaged(id, options),
  });
  const saved = await saveStill(
    parts,
    {
      targets: withParents(works, earlier),
      repository,
      marks: request.marks ?? [],
      dryRun: request.dryRun,
      withApplications: first.isSafety !== true,
      restorePoint: isRestorePoint(works) ? randomBytes(8).toString('hex') : undefined,
    },
    options,
  );
  for (const { result } of saved)
    if (result.snapshot !== undefined) await verifySaved(repository, result.snapshot, options);
  const catalog = await parts.catalog();
  const judge = ({ result }: StillSaved): readonly Anomaly[] => judgeSaved(catalog, { ...result, earlier });
  return saved.map((one) => {
    const work = works.find(({ target }) => target === one.target);
    return { ...success(one), anomalies: judge(one), settings: work && treatmentOf(work).said };
  });
}

/** Volumes of a stack that were all read at one moment. */
function isRestorePoint(works: readonly DescribedWork[]): boolean {
  const [first] = works;
  const isStack = first?.target.kind === 'volume' && first.target.volume.stack !== undefined;
  if (!isStack || first.targets.length !== works.length) return false;
  const live = works.map(treatmentOf).filter(({ consistency }) => consistency === 'live');
  // A cache that its own label lets be written to has no say in what the others are.
  return live.length < works.length && live.every(({ consistencyBy }) => consistencyBy === 'own');
}

function treatmentOf({ target, treatments }: SaveWork): Treatment {
  return treatments.get(target) ?? chooseTreatment({}, []);
}

function withParents(works: readonly DescribedWork[], earlier: readonly Snapshot[]): StillTarget[] {
  return works.map((work) => ({
    target: work.target,
    volume: work.volume,
    treatment: treatmentOf(work),
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

function failure(target: BackupTarget, error: AppError): BackupOutcome {
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

function cancelled(cause: unknown): AppError {
  return new AppError('cancelled', 'Cancelled', { cause });
}

interface RunToRecord {
  readonly work: SaveWork;
  readonly described: VolumeDescription;
  readonly startedAt: string;
  readonly outcome: BackupOutcome;
}

async function recordRun(
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
    message: outcome.error?.message ?? outcome.problems[0]?.message,
  });
  await tellOfBackup(parts, { outcome, repositoryId: work.repository.id, stack: described.stack, tags });
}
