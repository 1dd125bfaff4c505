import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { compileExcludes } from '../model/exclude.ts';
import { quote } from '../model/quote.ts';
import type { Consumer } from '../model/volume.ts';
import type { RunRecord } from '../catalog/catalog.ts';
import type { Grade, SaveProblem, Snapshot, SnapshotSummary, VolumeDescription } from '../model/snapshot.ts';
import type { Repository, SaveResult } from '../repository/index.ts';
import { describeVolume, pathConsumers } from './describe-volume.ts';
import { safetyTag } from './find-snapshot.ts';
import { type GradeReason, gradeOf } from './grade.ts';
import { takeLease } from './lease.ts';
import { openSource } from './open-source.ts';
import type { JobOptions, Protection } from './protection.ts';
import { settleHeld } from './settle.ts';
import { noteDamaged } from './snapshots.ts';
import { tellingOfFailure, tellOfBackup } from './tell-of-backup.ts';
import { type BackupTarget, type TargetWish, resolveTargets } from './targets.ts';

export interface BackupRequest extends TargetWish {
  readonly tags: readonly string[];
  readonly excludes: readonly string[];
  readonly dryRun: boolean;
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
  readonly problems: readonly SaveProblem[];
  /** What the way to the data cannot carry. */
  readonly limits: readonly string[];
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
  const isExcluded = compileExcludes(request.excludes);
  const { targets, skipped } = await resolveTargets(parts, request, options);
  const repository = await parts.repository();
  if (!request.dryRun) (await parts.notifier()).begin(targets.map(({ name }) => name));
  const outcomes: BackupOutcome[] = [];
  for (const target of targets) {
    const outcome = await tryToSave(parts, { target, request, repository, isExcluded }, options);
    outcomes.push(outcome);
    if (outcome.error !== undefined && endsAll(outcome.error)) break;
  }
  return { dryRun: request.dryRun, outcomes, skipped };
}

interface SaveWork {
  readonly target: BackupTarget;
  readonly request: BackupRequest;
  readonly repository: Repository;
  readonly isExcluded: ReturnType<typeof compileExcludes>;
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

async function tryToSave(parts: Protection, work: SaveWork, options: JobOptions): Promise<BackupOutcome> {
  const startedAt = new Date(parts.now()).toISOString();
  let described: VolumeDescription | undefined;
  try {
    described = await describeVolume(parts, work.target, options);
    const outcome = await saveOne(parts, { ...work, volume: described }, options);
    await recordRun(parts, { work, described, startedAt, outcome });
    return outcome;
  } catch (error) {
    const known =
      options.signal?.aborted === true
        ? cancelled(error)
        : knownError(error, `Cannot back up ${quote(work.target.name)}`);
    const outcome = failure(work.target, known);
    if (described !== undefined) await recordRun(parts, { work, described, startedAt, outcome });
    else if (!work.request.dryRun)
      await tellOfBackup(parts, { outcome, repositoryId: work.repository.id, stack: undefined });
    return outcome;
  }
}

async function saveOne(parts: Protection, work: DescribedWork, options: JobOptions): Promise<BackupOutcome> {
  const { target, volume } = work;
  await using _lease = await takeLease({
    stateDir: parts.stateDir,
    identity: volume.identity,
    name: target.name,
    action: 'back up',
  });
  await settleHeld(parts, target, options);
  return await saveHeld(parts, work, options);
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
    tags: [safetyTag],
    excludes: [],
    dryRun: false,
  };
  const volume = await describeVolume(parts, target, options);
  return await saveHeld(
    parts,
    { target, request, repository: await parts.repository(), isExcluded: () => false, volume },
    options,
  );
}

interface DescribedWork extends SaveWork {
  readonly volume: VolumeDescription;
}

/** Open, save, verify: what one backup is. The lease is held. */
async function saveHeld(parts: Protection, work: DescribedWork, options: JobOptions): Promise<BackupOutcome> {
  const { target, request, repository, volume } = work;
  const snapshots = await repository.listSnapshots({
    signal: options.signal,
    onDamaged: (id) => noteDamaged(id, options),
  });
  const parent = snapshots.findLast((snapshot) => snapshot.volume?.identity === volume.identity);
  await using source = await openSource(parts, { target, repository, isExcluded: work.isExcluded, options });
  let graded = gradeOf(volume.consumers, []);
  const result = await repository.save({
    source: source.tree,
    volume,
    parent,
    tags: request.tags,
    hostname: parts.hostname,
    timeMs: parts.now(),
    grade: async () => {
      graded = gradeOf(volume.consumers, await consumersNow(parts, target, options));
      return graded.grade;
    },
    excludePatterns: request.excludes,
    isExcluded: source.isExcluded,
    lost: source.problems,
    limits: source.limits,
    dryRun: request.dryRun,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  if (result.snapshot !== undefined) await verifySaved(repository, result.snapshot, options);
  return success(target, { result, graded, limits: source.limits });
}

async function consumersNow(
  parts: Protection,
  target: BackupTarget,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (target.kind === 'path') return await pathConsumers(parts, target.name, options);
  const host = await parts.host();
  return (await host.findVolume(target.name, { signal: options.signal }))?.consumers ?? [];
}

/** Reads the snapshot's record and the root of its tree back: what is reported saved can be opened. */
async function verifySaved(repository: Repository, saved: Snapshot, options: JobOptions): Promise<void> {
  const found = (await repository.listSnapshots({ signal: options.signal })).find(
    (snapshot) => snapshot.id === saved.id,
  );
  if (found === undefined) throw notReadable(saved);
  for await (const entry of repository.walk(found, '', { depth: 0, signal: options.signal }))
    if (entry.path === '') return;
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

interface SavedWork {
  readonly result: SaveResult;
  readonly graded: GradeReason;
  readonly limits: readonly string[];
}

function success(target: BackupTarget, { result, graded, limits }: SavedWork): BackupOutcome {
  const { problems } = result;
  return {
    kind: target.kind,
    name: target.name,
    outcome: problems.length > 0 ? 'partial' : 'good',
    snapshot: result.snapshot,
    summary: result.summary,
    grade: graded.grade,
    gradeReason: graded.reason,
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
): Promise<void> {
  if (work.request.dryRun) return;
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
  await tellOfBackup(parts, { outcome, repositoryId: work.repository.id, stack: described.stack });
}
