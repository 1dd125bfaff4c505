import type { HostAccess } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { VolumeDescription } from '../model/snapshot.ts';
import type { BackupOutcome, BackupReport, BackupRequest } from './backup-types.ts';
import { noteBehindLink } from './behind-link.ts';
import { describeVolume } from './describe-volume.ts';
import { takeLeases } from '../leases/index.ts';
import { policyOfTags } from '../model/policy.ts';
import type { JobOptions, LoggedState } from '../activity/index.ts';
import { recordFailure, recordRun } from './record-backup.ts';
import { type HeldTarget, saveTogether } from './save-together.ts';
import { type BackupTarget, resolveTargets } from '../volumes/index.ts';
import { tellingOfFailure, type Told } from './tell-of-backup.ts';
import { type BackupSettings, chooseSettings, chooseAllSettings } from './choose-settings.ts';
import {
  openSources,
  type SnapshotAccess,
  type SnapshotSources,
  takeOverByName,
} from '../snapshots/index.ts';

/** What a backup opens once it knows what to save. */
export type BackupAccess = SnapshotAccess & LoggedState & Told;

type BackupScope = SnapshotSources & LoggedState & Told;

export interface BackupOptions extends JobOptions {
  /** Settles what a killed restore left of a target whose lease is held. */
  readonly settleRestore: (
    scope: Pick<BackupScope, 'stateDir' | 'catalog' | 'host'>,
    target: BackupTarget,
    options: JobOptions,
  ) => Promise<void>;
}

/** Saves each target as a snapshot, one after the other; one that fails does not stop the others. */
export async function backup(
  access: BackupAccess,
  request: BackupRequest,
  options: BackupOptions,
): Promise<BackupReport> {
  const work = (): Promise<BackupReport> => backupAll(access, request, options);
  return await tellingOfFailure(access, request, { work, signal: options.signal });
}

async function backupAll(
  access: BackupAccess,
  request: BackupRequest,
  options: BackupOptions,
): Promise<BackupReport> {
  // Invalid settings fail before anything is asked.
  chooseSettings({ given: request.given }, []);
  const { targets, moments, skipped } = await resolveTargets(access, request, options);
  if (targets.length === 0) throw await nothingToSave(access, skipped);
  const { stateDir, log, notifier } = access;
  const scope = { ...(await openSources(access)), stateDir, log, notifier };
  const { containers: containerNames } = request;
  const allSettings = await chooseAllSettings(scope, { targets, request, containerNames }, options);
  const policy = policyOfTags(request.marks ?? []);
  const subjects = targets.map(({ name }) => name);
  using _begun = request.dryRun ? undefined : (await notifier()).begin({ subjects, policy });
  const outcomes: BackupOutcome[] = [];
  for (const group of groupByMoment(targets, moments)) {
    const saved = await backupTogether(scope, { targets: group, request, allSettings }, options);
    outcomes.push(...saved);
    if (saved.some(({ error }) => error !== undefined && endsAll(error))) break;
  }
  return { dryRun: request.dryRun, outcomes, skipped };
}

/** Nothing was left of all that was requested: an error, whatever the reason. */
async function nothingToSave({ host }: HostAccess, skipped: BackupReport['skipped']): Promise<AppError> {
  if (skipped.length > 0) {
    return new AppError('not-found', 'There is nothing to back up: all volumes are left out', {
      detail: skipped.map(({ name, reason }) => `${quote(name)}: ${reason}`).join('\n'),
    });
  }
  const { kind, endpoint } = await (await host()).info();
  const where =
    kind === 'embedded'
      ? 'Holdfast keeps none itself, and no container engine was found'
      : `${kind === 'docker' ? 'Docker' : 'Podman'} at ${quote(endpoint)} has none`;
  return new AppError('not-found', `There is nothing to back up: there are no volumes. ${where}`, {
    hint: 'If they are elsewhere, say so with --host or DOCKER_HOST. Directories are named by their paths.',
  });
}

/** Volumes of a stack are saved at one moment, with what belongs to it; all others each at its own. Pure. */
function groupByMoment(
  targets: readonly BackupTarget[],
  moments: ReadonlyMap<BackupTarget, string>,
): BackupTarget[][] {
  const groups = new Map<string, BackupTarget[]>();
  // Volumes first, because they give a moment its name.
  const isVolume = ({ kind }: BackupTarget): number => (kind === 'volume' ? 0 : 1);
  for (const target of targets.toSorted((a, b) => isVolume(a) - isVolume(b))) {
    const stack = target.kind === 'volume' ? target.volume.stack : undefined;
    const own = stack === undefined ? `${target.kind} ${target.name}` : `stack ${stack}`;
    const key = moments.get(target) ?? own;
    groups.set(key, [...(groups.get(key) ?? []), target]);
  }
  return [...groups.values()];
}

/**
 * True for errors of the repository or the request, which would only repeat with the next target. Damage may
 * concern a single volume, as the journal of its restore does.
 */
function endsAll(error: AppError): boolean {
  return error.code === 'cancelled' || error.code === 'full' || error.code === 'read-only';
}

interface Group {
  readonly targets: readonly BackupTarget[];
  readonly request: BackupRequest;
  readonly allSettings: ReadonlyMap<BackupTarget, BackupSettings>;
}

/**
 * Takes the targets' leases, saves them at one moment, and records each outcome. What another process holds,
 * or what cannot be read, is reported, and the others are saved.
 */
async function backupTogether(
  scope: BackupScope,
  { targets, request, allSettings }: Group,
  options: BackupOptions,
): Promise<BackupOutcome[]> {
  const { dryRun, marks = [] } = request;
  const { repository } = scope;
  const run = { startedAt: new Date().toISOString(), repository, dryRun, marks };
  const outcomes: BackupOutcome[] = [];
  const held: HeldTarget[] = [];
  await using leases = new AsyncDisposableStack();
  for (const target of targets) {
    let volume: VolumeDescription | undefined;
    try {
      if (request.takeOver === true && !dryRun) await takeOverByName(scope, target, options);
      volume = await describeVolume(scope, target, options);
      const { name, realPath } = volume;
      if (realPath !== undefined) options.onNote?.(noteBehindLink(name, realPath));
      leases.use(await takeVolume(scope, { target, volume }, options));
      held.push({ target, volume, settings: allSettings.get(target) ?? chooseSettings({}, []) });
    } catch (error) {
      outcomes.push(await recordFailure(scope, { run, target, volume, error }, options));
    }
  }
  if (held.length === 0) return outcomes;
  const missing = targets.filter((target) => held.every((one) => one.target !== target));
  const toSave = {
    held,
    missing: missing.map(({ name }) => name),
    marks,
    dryRun,
    notifier: scope.notifier,
  };
  let recorded = 0;
  try {
    for (const outcome of await saveTogether(scope, toSave, options)) {
      const volume = held[recorded]?.volume;
      if (volume !== undefined) await recordRun(scope, { run, volume, outcome }, options);
      outcomes.push(outcome);
      recorded++;
    }
  } catch (error) {
    // Those before it are saved, and recorded so.
    for (const { target, volume } of held.slice(recorded))
      outcomes.push(await recordFailure(scope, { run, target, volume, error }, options));
  }
  return outcomes;
}

async function takeVolume(
  scope: BackupScope,
  { target, volume }: { readonly target: BackupTarget; readonly volume: VolumeDescription },
  options: BackupOptions,
): Promise<AsyncDisposable> {
  const { kind, name } = target;
  const hostIdentity = target.kind === 'volume' ? target.host.identity : undefined;
  const places = [{ kind, name, hostIdentity, identity: volume.identity }];
  const lease = await takeLeases(scope, { places, work: 'back up' }, options);
  try {
    await options.settleRestore(scope, target, options);
    return lease;
  } catch (error) {
    await lease[Symbol.asyncDispose]();
    throw error;
  }
}
