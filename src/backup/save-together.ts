import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Container } from '../hosts/containers.ts';
import { knownError } from '../lib/known-error.ts';
import type { ByteString } from '../model/byte-string.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { Stillness } from '../model/label-settings.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot, VolumeDescription } from '../model/snapshot.ts';
import {
  canClone,
  chooseWays,
  isActiveContainer,
  lookAround,
  lookAroundFree,
  nameApps,
  planBound,
  planTogether,
  quiesce,
  runs,
  writersIn,
  type ApplicationSession,
  type HookMeans,
  type HookOutcome,
  type QuiesceBound,
  type QuiesceEvidence,
  type QuiescePlace,
  type QuiescePlan,
  type QuiesceSession,
  type Situation,
  type Surroundings,
} from '../quiesce/index.ts';
import type { NotKept, Repository, SavedTree, SaveResult, TreeToSave } from '../repository/index.ts';
import { listInKnownOrder, noteDamaged, type SnapshotSources } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';
import type { BackupTarget } from '../volumes/index.ts';
import { openApplications } from './application-of.ts';
import type { BackupOutcome } from './backup-types.ts';
import type { BackupSettings } from './choose-settings.ts';
import { collectConfig, notHere } from './config-files/collect-config.ts';
import { failedBackup } from './record-backup.ts';
import { type GradedSave, type GradeReason, gradeSaved } from './grade.ts';
import { judgeSaved } from './judge-saved.ts';
import { openSource, type OpenedSource } from './open-source.ts';

/** One volume or directory whose lease is held. */
export interface HeldTarget {
  readonly target: BackupTarget;
  readonly volume: VolumeDescription;
  readonly settings: BackupSettings;
}

/** Where snapshots go and which went before, and how to hold containers. */
interface SaveMeans extends SnapshotSources {
  readonly stateDir: string;
}

export interface SaveTogetherRequest {
  readonly held: readonly HeldTarget[];
  /** Names of those that belong to the same moment and could not be saved with it. */
  readonly missing: readonly string[];
  /** Tags for all of them, besides their own. */
  readonly marks: readonly string[];
  readonly dryRun: boolean;
  /** Is told of applications' hooks. Undefined for what a restore replaces: they were made still already, or no longer run. */
  readonly notifier: HookMeans['notifier'] | undefined;
}

/**
 * Saves targets at one moment, from their opened data to verified snapshots: the whole of a backup. When a
 * target's data cannot be read, its outcome says so and the others are saved; any other error fails all.
 * Containers run again in any case. Returns the outcomes in the order of the targets.
 */
export async function saveTogether(
  means: SaveMeans,
  request: SaveTogetherRequest,
  options: JobOptions,
): Promise<BackupOutcome[]> {
  const { repository, catalog } = means;
  const { dryRun, notifier } = request;
  const { signal, onNote, onProgress } = options;
  const { snapshots: earlier, damaged } = await listInKnownOrder(means, options);
  for (const id of damaged.keys()) noteDamaged(id, options);

  await using opened = new AsyncDisposableStack();
  const { members, lost, around } = await openMembers(means, { request, earlier, opened }, options);
  if (members.length === 0)
    return await outcomesOf({ repository, catalog }, { request, lost, earlier, saved: [] }, options);
  const missing = [...request.missing, ...[...lost.keys()].map(({ name }) => name)];
  const withApplications = dryRun ? undefined : notifier;
  const configs = withApplications && (await configsOf(members, around, means.stateDir));
  const application =
    withApplications && (await openApplications({ ...means, notifier: withApplications }, members, options));
  opened.use(application);
  const plan = planMembers(members, { application, dryRun });
  if (plan.note !== undefined) onNote?.(plan.note);

  let results: readonly SaveResult[];
  let graded: readonly (GradedSave | undefined)[];
  let hookFailures: readonly AppError[];
  let quieted: QuiesceSession | undefined;
  try {
    await application?.begin(options);
    const dumps = await application?.dump(repository, options);
    const shared = {
      hostname: hostname(),
      timeMs: Date.now(),
      restorePoint: isRestorePoint(request) ? randomBytes(8).toString('hex') : undefined,
      missing,
    };
    const trees = members.map((member): TreeToSave => ({
      ...treeOf(member, request.marks),
      ...shared,
      dumps: dumps?.get(member.target.name),
      config: configs?.get(member),
    }));
    const { liveFirst, clones, stillness, maxStillMs } = plan;
    await using save = await repository.beginSave(trees, { clones, dryRun, signal, onProgress });

    let quiesced: QuiesceEvidence | undefined;
    for (let triesLeft = plan.tries - 1; quiesced === undefined; triesLeft--) {
      const mayRepeat = triesLeft > 0;
      const lastPassMs = liveFirst ? (await save.livePass(maxStillMs)).tookMs : undefined;
      const justBefore = (): Promise<void> => save.prepareFinalPass();
      const bound = { maxStillMs, lastPassMs, mayRepeat };
      const toQuiesce = { places: members.map(placeOf), plan, stillness, application, justBefore, ...bound };
      await using still = await quiesce(means, toQuiesce, options);
      quieted = still;
      const { timeMs, cutAtMs, cut: onStall } = still;
      const { late } = await save.finalPass({ timeMs, cutAtMs, onStall, mayRepeat });
      const evidence = await still.release();
      if (!mayRepeat || (late === 0 && !evidence.isDisturbed)) quiesced = evidence;
    }

    graded = gradeAll(plan, quiesced, await save.storeData());
    results = await save.finish(graded);
    hookFailures = (await application?.finish(hookOutcome(results, missing), options)) ?? [];
  } catch (thrown) {
    const error = quieted?.explain(thrown) ?? thrown;
    application?.failed(
      signal?.aborted === true ? new AppError('cancelled', 'Cancelled') : knownError(error),
    );
    throw error;
  }
  // What follows asks the repository, which may be far away: no mount and no helper of an engine waits for that.
  await opened.disposeAsync();

  for (const { snapshot } of results)
    if (snapshot !== undefined) await verifySaved(repository, snapshot, options);
  const saved = members.flatMap((member, i): Saved[] => {
    const result = results[i];
    return result === undefined ? [] : [{ member, result, graded: graded[i], plan, hookFailures }];
  });
  return await outcomesOf({ repository, catalog }, { request, lost, earlier, saved }, options);
}

interface Member extends HeldTarget {
  readonly source: OpenedSource;
  /** Containers that ran or were paused when the backup began, and can write when they run. */
  readonly writers: readonly Container[];
  readonly parent: Snapshot | undefined;
}

interface ToOpen {
  readonly request: SaveTogetherRequest;
  readonly earlier: readonly Snapshot[];
  /** Closes them. */
  readonly opened: AsyncDisposableStack;
}

interface OpenedMembers {
  readonly members: readonly Member[];
  /** Why the data of the others cannot be opened. */
  readonly lost: ReadonlyMap<BackupTarget, AppError>;
  readonly around: Surroundings;
}

/** Opens the data of each, and finds its writers. */
async function openMembers(
  means: SaveMeans,
  { request: { held, dryRun }, earlier, opened }: ToOpen,
  options: JobOptions,
): Promise<OpenedMembers> {
  const members: Member[] = [];
  const lost = new Map<BackupTarget, AppError>();
  const places = held.map(({ target }) => target);
  // A dry run waits for no other process.
  const around = await (dryRun ? lookAround : lookAroundFree)(means, places, options);
  for (const one of held) {
    const { target, volume, settings } = one;
    const { realPath, identity } = volume;
    const toOpen = {
      repository: means.repository,
      target,
      realPath,
      isExcluded: settings.isExcluded,
      options,
    };
    try {
      const source = opened.use(await openSource(means, toOpen));
      const writers = (await writersIn(around, target)).filter(isActiveContainer);
      const parent = earlier.findLast((snapshot) => snapshot.volume?.identity === identity);
      members.push({ ...one, source, writers, parent });
    } catch (error) {
      if (options.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
      lost.set(target, knownError(error, `Cannot open ${quote(target.name)}`));
    }
  }
  return { members, lost, around };
}

/**
 * The other files that each volume's containers need. Volumes of a stack share them, and they are read once.
 */
async function configsOf(
  members: readonly Member[],
  { containers, volumes }: Surroundings,
  stateDir: string,
): Promise<Map<Member, TreeToSave['config']>> {
  const configs = new Map<Member, TreeToSave['config']>();
  const ofStacks = new Map<string, TreeToSave['config']>();
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

interface MembersPlan extends QuiescePlan, QuiesceBound {
  /** By container id: what labels ask. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  /** For a dry run, what a backup would do; otherwise the plan itself. */
  readonly wanted: QuiescePlan;
  readonly dryRun: boolean;
}

/** How the data is kept still, for how long, and how often. A dry run keeps nothing still. */
function planMembers(
  members: readonly Member[],
  { application, dryRun }: { readonly application: ApplicationSession | undefined; readonly dryRun: boolean },
): MembersPlan {
  const ways = chooseWays(members, application);
  const { stillness } = ways;
  const situations = members.map((member) => situationOf(member, ways.modeOf(member), stillness));
  const wanted = planTogether(situations);
  const asleep = { how: undefined, liveFirst: false, clones: false, note: undefined };
  const plan = dryRun ? { ...wanted, ...asleep } : wanted;
  const { maxStillMs, tries } = planBound(
    members.filter(({ writers }) => writers.length > 0).map(({ settings }) => settings),
    { plan, stops: plan.how === 'stop' || [...stillness.values()].includes('stop') },
  );
  return {
    ...plan,
    maxStillMs: plan.how === undefined ? undefined : maxStillMs,
    tries: plan.liveFirst ? tries : 1,
    stillness,
    wanted,
    dryRun,
  };
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

/**
 * True for volumes of a stack that were to be read at one moment, even if some could not be. A single volume
 * of several that was requested on its own is no moment of the stack.
 */
function isRestorePoint({ held, missing, notifier }: SaveTogetherRequest): boolean {
  const [first] = held;
  const isStack = first?.target.kind === 'volume' && first.target.volume.stack !== undefined;
  if (!isStack || notifier === undefined) return false;
  if (held.length + missing.length === 1 && (first.volume.stackVolumes ?? []).length > 1) return false;
  const live = held.map(({ settings }) => settings).filter(({ consistency }) => consistency === 'live');
  // A volume whose own label lets it be written to, such as a cache, does not lower the others.
  return live.length < held.length && live.every(({ consistencyBy }) => consistencyBy === 'own');
}

function treeOf(
  { source, volume, parent, settings }: Member,
  marks: readonly string[],
): Omit<TreeToSave, 'hostname' | 'timeMs'> {
  return {
    source: source.tree,
    volume,
    parent,
    tags: [...marks, ...settings.tags],
    excludePatterns: settings.excludes,
    isExcluded: source.isExcluded,
    lost: source.problems,
    limits: source.limits,
  };
}

function placeOf({ target, source: { tree }, writers, volume }: Member): QuiescePlace {
  const at = (root: ByteString, only: ByteString | undefined): ByteString =>
    only === undefined ? root : `${root}/${only}`;
  const root = tree.kind === 'directory' ? at(tree.root, tree.only) : undefined;
  return { target, root, writers, consumers: volume.consumers };
}

/** Undefined for what is not recorded. */
function gradeAll(
  plan: MembersPlan,
  quiesced: QuiesceEvidence,
  trees: readonly SavedTree[],
): (GradedSave | undefined)[] {
  return trees.map((saved, i) => {
    const place = quiesced.places[i];
    if (plan.dryRun || saved.error !== undefined || place === undefined) return undefined;
    return gradeSaved({ plan, maxStillMs: plan.maxStillMs, quiesced, place, saved });
  });
}

function hookOutcome(results: readonly SaveResult[], missing: readonly string[]): HookOutcome {
  const isPartial =
    missing.length > 0 || results.some(({ problems, error }) => error !== undefined || problems.length > 0);
  const ids = results.flatMap(({ snapshot }) => snapshot?.id ?? []);
  return { outcome: isPartial ? 'partial' : 'good', snapshotId: ids.join(',') };
}

/**
 * Reads back the snapshot's record and the root of its tree, so that what is reported saved can be opened.
 */
async function verifySaved(repository: Repository, saved: Snapshot, options: JobOptions): Promise<void> {
  try {
    for await (const entry of repository.walk(saved, '', { depth: 0, signal: options.signal }))
      if (entry.path === '') return;
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
  }
  throw new AppError(
    'integrity',
    `The snapshot "${saved.id.slice(0, 8)}" was written and cannot be read back`,
    { hint: 'Run "holdfast check", and look for faults of the disk.' },
  );
}

/** The outcome for a target whose data was opened. */
interface Saved {
  readonly member: Member;
  readonly result: SaveResult;
  readonly graded: GradeReason | undefined;
  readonly plan: MembersPlan;
  /** Hooks that failed afterwards and whose failure counts. */
  readonly hookFailures: readonly AppError[];
}

interface ToTell {
  readonly request: SaveTogetherRequest;
  readonly lost: ReadonlyMap<BackupTarget, AppError>;
  readonly earlier: readonly Snapshot[];
  readonly saved: readonly Saved[];
}

async function outcomesOf(
  { repository, catalog }: Pick<SaveMeans, 'repository' | 'catalog'>,
  { request: { held }, lost, earlier, saved }: ToTell,
  options: JobOptions,
): Promise<BackupOutcome[]> {
  const outcomes: BackupOutcome[] = [];
  for (const { target } of held) {
    const one = saved.find(({ member }) => member.target === target);
    const error = lost.get(target) ?? one?.result.error;
    if (error !== undefined) outcomes.push(failedBackup(target, error));
    else if (one === undefined)
      throw new AppError('failed', `It is not known what became of ${quote(target.name)}`);
    else {
      for (const notKept of one.result.notKept ?? []) options.onNote?.(notKeptNote(target.name, notKept));
      const anomalies = await judgeSaved(catalog, { ...one.result, repository, earlier }, options);
      outcomes.push({ ...outcomeOf(one), anomalies, settings: one.member.settings.said });
    }
  }
  return outcomes;
}

function outcomeOf({ member, result, graded, plan, hookFailures }: Saved): BackupOutcome {
  const { target, source } = member;
  const { grade, reason } = graded ?? foretellGrade(plan.wanted, member);
  // What changes during a dry run would be still during the backup.
  const isStillLater = plan.dryRun && plan.wanted.how !== undefined;
  const problems = [
    ...result.problems.filter((problem) => !isStillLater || problem.reason === 'unreadable'),
    ...hookFailures.map(({ message }) => ({ path: '', reason: 'unreadable', message }) as const),
  ];
  return {
    kind: target.kind,
    name: target.name,
    outcome: problems.length > 0 ? 'partial' : 'good',
    snapshot: result.snapshot,
    summary: result.summary,
    grade,
    gradeReason: reason,
    evidence: result.snapshot?.evidence,
    problems,
    limits: source.limits,
    error: undefined,
  };
}

function foretellGrade({ how, consistency }: QuiescePlan, { writers }: Member): GradeReason {
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

function notKeptNote(name: string, { what, count, example }: NotKept): string {
  const things = count === 1 ? 'One thing is' : `${count} things are`;
  return `${things} ${what} in ${quote(name)}, which no backup keeps: ${quote(example)}${count === 1 ? '' : ' is one of them'}.`;
}
