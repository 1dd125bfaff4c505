import { knownError } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Stillness } from '../model/label-settings.ts';
import type { GradeEvidence, Snapshot, VolumeDescription } from '../model/snapshot.ts';
import type { NotKept, Repository, SaveOptions, SaveResult, StoredDump } from '../repository/index.ts';
import type { GradeReason } from './grade.ts';
import {
  canClone,
  chooseWays,
  isActiveContainer,
  lookAround,
  lookAroundFree,
  nameApps,
  planBound,
  planTogether,
  runs,
  writersIn,
  type Application,
  type HookOutcome,
  type Situation,
  type StillPlan,
  type Surroundings,
} from '../quiesce/index.ts';
import { openSource } from './open-source.ts';
import { applicationOf } from './application-of.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { BackupTarget } from '../volumes/index.ts';
import type { BackupSettings } from './choose-settings.ts';
import { collectConfig, notHere } from './config-files/collect-config.ts';
import { type Member as MomentMember, Moment } from './moment.ts';

/** One volume or directory whose lease is held. */
export interface StillTarget {
  readonly target: BackupTarget;
  readonly volume: VolumeDescription;
  readonly parent: Snapshot | undefined;
  readonly settings: BackupSettings;
}

export interface StillSaveRequest {
  readonly targets: readonly StillTarget[];
  readonly repository: Repository;
  /** Tags of all of them, besides their own. */
  readonly marks: readonly string[];
  readonly restorePoint: string | undefined;
  /** Names of the volumes that belong to the same moment and could not be taken for it. */
  readonly missing: readonly string[];
  readonly dryRun: boolean;
  /** False leaves applications alone: no hooks, no locks, no dumps. */
  readonly withApplications: boolean;
}

export interface StillSaved {
  readonly target: BackupTarget;
  readonly result: SaveResult;
  readonly graded: GradeReason;
  readonly evidence: GradeEvidence | undefined;
  readonly limits: readonly string[];
  /** Hooks that failed afterwards and were meant to be heard. */
  readonly hookFailures: readonly AppError[];
}

/** One whose data could not be opened or read. */
export interface StillLost {
  readonly target: BackupTarget;
  readonly error: AppError;
}

/**
 * Saves targets at one still moment: opens their data, finds who writes to it, makes them still as briefly as the data
 * allows, and says how consistent the snapshots are. One whose data cannot be had is lost, and the others are saved; what
 * is no fault of the data fails all. The containers run again in any case.
 */
export async function saveStill(
  parts: Protection,
  request: StillSaveRequest,
  options: JobOptions,
): Promise<(StillSaved | StillLost)[]> {
  await using opened = new AsyncDisposableStack();
  const members: Member[] = [];
  const lost: StillLost[] = [];
  const places = request.targets.map(({ target }) => target);
  // A dry run waits for no other process.
  const around = await (request.dryRun ? lookAround : lookAroundFree)(parts, places, options);
  for (const one of request.targets) {
    const { isExcluded } = one.settings;
    const { realPath } = one.volume;
    const sourceRequest = {
      repository: request.repository,
      target: one.target,
      realPath,
      isExcluded,
      options,
    };
    try {
      const source = opened.use(await openSource(parts, sourceRequest));
      const writers = (await writersIn(around, one.target)).filter(isActiveContainer);
      members.push({ ...one, source, writers });
    } catch (error) {
      if (options.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
      lost.push({ target: one.target, error: knownError(error, `Cannot open ${quote(one.target.name)}`) });
    }
  }
  if (members.length === 0) return lost;
  const missing = [...request.missing, ...lost.map(({ target }) => target.name)];
  // A dry run reads no file.
  const configs =
    request.withApplications && !request.dryRun
      ? await configsOf(parts, members, around)
      : new Map<Member, undefined>();
  const application = await openApplications(parts, { members, request }, options);
  if (application !== undefined) opened.use(application);
  const ways = chooseWays(members, application);
  const stillness = ways.stillness;
  const wanted = planTogether(members.map((member) => situationOf(member, ways.modeOf(member), stillness)));
  const plan = request.dryRun ? onlyLook(wanted) : wanted;
  if (plan.note !== undefined) options.onNote?.(plan.note);
  const bound = planBound(
    members.filter(({ writers }) => writers.length > 0).map(({ settings }) => settings),
    { plan, stops: plan.how === 'stop' || [...stillness.values()].includes('stop') },
  );
  const moment = opened.use(new Moment(parts, { members, plan, application, stillness, ...bound }, options));
  try {
    await application?.begin(options);
    const dumps = await application?.dump(request.repository, options);
    const saves = members.map((member) =>
      saveOptionsOf(
        parts,
        { member, moment, request: { ...request, missing }, dumps, config: configs.get(member) },
        options,
      ),
    );
    const results = await request.repository.saveTogether(saves, moment);
    for (const [i, { notKept = [] }] of results.entries())
      for (const one of notKept) options.onNote?.(notKeptNote(members[i]?.target.name ?? '', one));
    const hookFailures = (await application?.finish(outcomeOf(results, missing), options)) ?? [];
    const saved = results.map((result, i): StillSaved | StillLost => {
      const member = members[i];
      if (member === undefined) throw new AppError('failed', 'More was saved than was asked for');
      const { target, source } = member;
      if (result.error !== undefined) return { target, error: result.error };
      return {
        target,
        result: request.dryRun && wanted.how !== undefined ? withoutChanges(result) : result,
        graded: request.dryRun ? foretellGrade(wanted, member) : moment.gradeOf(member),
        evidence: result.snapshot?.evidence,
        limits: source.limits,
        hookFailures,
      };
    });
    return [...saved, ...lost];
  } catch (error) {
    application?.failed(options.signal?.aborted === true ? new AppError('cancelled', 'Cancelled') : error);
    throw error;
  }
}

function notKeptNote(name: string, { what, count, example }: NotKept): string {
  const things = count === 1 ? 'One thing is' : `${count} things are`;
  return `${things} ${what} in ${quote(name)}, which no backup keeps: ${quote(example)}${count === 1 ? '' : ' is one of them'}.`;
}

/** What changes while it is looked at would be still when it is saved. */
function withoutChanges(result: SaveResult): SaveResult {
  return { ...result, problems: result.problems.filter(({ reason }) => reason === 'unreadable') };
}

function outcomeOf(results: readonly SaveResult[], missing: readonly string[]): HookOutcome {
  const isPartial =
    missing.length > 0 || results.some(({ problems, error }) => error !== undefined || problems.length > 0);
  const ids = results.flatMap(({ snapshot }) => snapshot?.id ?? []);
  return { outcome: isPartial ? 'partial' : 'good', snapshotId: ids.join(',') };
}

/** What the containers of each volume need besides. Those of a stack share it, and it is read once. */
async function configsOf(
  { stateDir }: Pick<Protection, 'stateDir'>,
  members: readonly Member[],
  { containers, volumes }: Surroundings,
): Promise<Map<Member, SaveOptions['config']>> {
  const configs = new Map<Member, SaveOptions['config']>();
  const ofStacks = new Map<string, SaveOptions['config']>();
  for (const member of members) {
    const { target, source } = member;
    if (target.kind !== 'volume') continue;
    const { stack } = target.volume;
    const config =
      source.tree.kind === 'entries'
        ? notHere(target.volume, containers)
        : ((stack === undefined ? undefined : ofStacks.get(stack)) ??
          (await collectConfig({ volume: target.volume, containers, volumes, stateDir })));
    if (stack !== undefined && source.tree.kind === 'directory') ofStacks.set(stack, config);
    configs.set(member, config);
  }
  return configs;
}

interface ApplicationsToOpen {
  readonly members: readonly Member[];
  readonly request: StillSaveRequest;
}

/** For a dry run nobody is disturbed. */
async function openApplications(
  parts: Protection,
  { members, request }: ApplicationsToOpen,
  options: JobOptions,
): Promise<Application | undefined> {
  if (request.dryRun || !request.withApplications) return undefined;
  return await applicationOf(
    parts,
    members.map((member) => ({ ...member, settings: member.settings.applications })),
    options,
  );
}

interface Member extends MomentMember {
  readonly parent: Snapshot | undefined;
  readonly settings: BackupSettings;
}

function situationOf(
  { target, source, writers }: Member,
  mode: Situation['mode'],
  stillness: ReadonlyMap<string, Stillness>,
): Situation {
  const { tree } = source;
  const stilled = writers.filter(({ id }) => stillness.get(id) !== 'run');
  const busy = stilled.filter(runs);
  return {
    name: target.name,
    mode,
    writers: busy.length,
    way: tree.kind === 'directory' ? 'direct' : 'stream',
    canClone: tree.kind === 'directory' && (mode === 'freeze' || busy.length > 0) && canClone(tree.root),
  };
}

/** For a dry run nobody is disturbed. */
function onlyLook(plan: StillPlan): StillPlan {
  return { ...plan, how: undefined, liveFirst: false, clones: false, note: undefined };
}

function foretellGrade({ how, consistency }: StillPlan, { writers }: Member): GradeReason {
  const paused = writers.find(({ state }) => state === 'paused');
  if (how === undefined && consistency !== 'live')
    return paused === undefined
      ? { grade: 'cold', reason: 'no container could write to it' }
      : { grade: 'crash', reason: `${quote(paused.name)} was paused` };
  const names = nameApps(writers.filter(runs).map(({ name }) => name));
  if (how === undefined) return { grade: 'torn', reason: `${names} could write while it was read` };
  const grade = how === 'stop' ? 'cold' : 'crash';
  return { grade, reason: `by ${consistency}: ${names} would be ${how === 'stop' ? 'stopped' : 'paused'}` };
}

interface SaveMember {
  readonly member: Member;
  readonly moment: Moment;
  readonly request: StillSaveRequest;
  readonly dumps: ReadonlyMap<string, readonly StoredDump[]> | undefined;
  readonly config: SaveOptions['config'];
}

function saveOptionsOf(
  parts: Protection,
  { member, moment, request, dumps, config }: SaveMember,
  options: JobOptions,
): SaveOptions {
  const { source, volume, parent, settings } = member;
  return {
    source: source.tree,
    dumps: dumps?.get(member.target.name),
    config,
    volume,
    parent,
    tags: [...request.marks, ...settings.tags],
    hostname: parts.hostname,
    timeMs: parts.now(),
    grade: async (shown) => (await moment.decideGrade(member, shown)).grade,
    evidence: (inFlight) => moment.evidenceOf(member, inFlight),
    restorePoint: request.restorePoint,
    missing: request.missing,
    excludePatterns: settings.excludes,
    isExcluded: source.isExcluded,
    lost: source.problems,
    limits: source.limits,
    dryRun: request.dryRun,
    signal: options.signal,
    onProgress: options.onProgress,
  };
}
