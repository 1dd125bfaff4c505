import type { JobOptions, LoggedState } from '../activity/index.ts';
import type { HostAccess, StreamData } from '../hosts/host.ts';
import { takeLeases } from '../leases/index.ts';
import { knownError } from '../lib/known-error.ts';
import type { ByteString } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { LogEvent } from '../model/log-entry.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem, Snapshot } from '../model/snapshot.ts';
import type { Place as ConsumedPlace } from '../quiesce/index.ts';
import { type FillResult, fillStage, partOf, refuseSurprise } from './fill-directory.ts';
import { fillStream, hintOfRoot } from './fill-stream.ts';
import { changedMeanwhile, type OpenDestination, openDestination } from './open-destination.ts';
import { beginStreamedOf, noteGone, noteWhole, replaceStreamed } from './replace-streamed.ts';
import { type MemberRequest, openReplacement } from './replacement.ts';
import { identityOf, isPath, keepLineages } from './restore-lineage.ts';
import type { RestorePlan, RestoreScope } from './restore-plan.ts';
import type { SnapshotSources } from '../snapshots/index.ts';
import { type Saved, saveAgain, saveFirst } from './save-safety.ts';
import { stoppedOr, findAiling, type LiveSwapReport, swapLive } from './swap-live.ts';

export interface RestoreReport {
  readonly snapshot: Snapshot;
  /** The volume's name or the directory. */
  readonly name: string;
  readonly created: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Bytes that equal the old data and were taken from there. */
  readonly bytesTaken: number;
  /** Metadata that could not be set or that the destination cannot carry. */
  readonly problems: readonly SaveProblem[];
  /** The snapshot of the old data, if one was taken. */
  readonly safetySnapshot: Snapshot | undefined;
  /** Names of the containers that were stopped and started again, and how long they were down. */
  readonly stopped: readonly string[];
  readonly stillMs: number;
  /** How long an undo can bring back the old data; 0 when it cannot. */
  readonly keptForMs: number;
}

export type ApplyScope = SnapshotSources & LoggedState;

/** Carries out a plan under a lease on the destination. On failure the destination stays as it was. */
export async function applyRestore(
  scope: ApplyScope,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const [report] = await applyRestores(scope, [plan], options);
  if (report === undefined) throw new AppError('failed', `Cannot restore ${quote(plan.destination.name)}`);
  return report;
}

/**
 * Carries out several plans as one, under a lease on each destination: all of them, or nothing changes.
 * Containers are stopped once for all. Returns reports in the order of the plans.
 */
export async function applyRestores(
  scope: ApplyScope,
  plans: readonly RestorePlan[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  for (const { refusal } of plans) if (refusal !== undefined) throw refusal;
  const works: Work[] = [];
  for (const plan of plans)
    works.push({ plan, identity: await identityOf(scope, plan.destination, options) });
  const places = works.map(({ plan, identity }) => ({
    kind: isPath(plan.destination) ? ('path' as const) : ('volume' as const),
    name: plan.destination.name,
    identity,
    isRemovedThere: isStreamed(plan),
  }));
  await using _leases = await takeLeases(scope, { places, work: 'restore' }, options);
  return await restoreHeld(scope, works, options);
}

/** Like `applyRestore`, but the caller holds the lease on the destination. */
export async function applyRestoreHeld(
  scope: ApplyScope,
  plan: RestorePlan,
  options: JobOptions,
): Promise<void> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const identity = await identityOf(scope, plan.destination, options);
  await restoreHeld(scope, [{ plan, identity }], options);
}

interface Work {
  readonly plan: RestorePlan;
  /** What the lease is on. */
  readonly identity: string;
}

async function restoreHeld(
  scope: ApplyScope,
  works: readonly Work[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  const plans = works.map(({ plan }) => plan);
  const [only] = plans;
  try {
    const reports =
      only !== undefined && plans.length === 1 && isStreamed(only)
        ? [await throughEngine(scope, only, options)]
        : await replaceAll(scope, works, options);
    await noteWhole(scope, plans, options);
    await keepLineages(scope, plans, options);
    await tellOfRestores(scope, plans, reports);
    return reports;
  } catch (error) {
    const names = plans.map(({ destination }) => quote(destination.name)).join(', ');
    const known = stoppedOr(error, options) ?? knownError(error, `Cannot restore ${names}`);
    await noteGone(scope, plans);
    await tellOfRestores(scope, plans, known);
    throw known;
  }
}

/** Existing data behind the engine, which cannot delete: the volume is recreated. */
function isStreamed({ destination, replaces, path }: RestorePlan): boolean {
  return destination.kind === 'volume' && destination.way === 'stream' && replaces && path === '';
}

async function throughEngine(
  scope: RestoreScope,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const { name } = plan.destination;
  const volume = await (await scope.host()).findVolume(name, { signal: options.signal });
  if (volume === undefined) throw changedMeanwhile(name);
  const done = await replaceStreamed(scope, { plan, volume }, options);
  return reportOf(plan, { ...done, created: false, swap: undefined });
}

interface Place extends OpenDestination {
  readonly identity: string;
}

/**
 * The whole restore from top to bottom: opens the places, saves the old data, fills the stages, stops the
 * containers, swaps all places at once, starts what ran, and goes back where that is unhealthy. Each step
 * that a kill may interrupt is in a journal first (`replacement.ts`, and the containers' journal).
 */
async function replaceAll(
  scope: RestoreScope,
  works: readonly Work[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  await using made = new AsyncDisposableStack();
  await using opened = new AsyncDisposableStack();
  const places: Place[] = [];
  for (const { plan, identity } of works)
    places.push({ ...(await openDestination(scope, { plan, opened, made }, options)), identity });
  // Before the safety snapshots, because a pause for one makes a container look unhealthy for a while.
  const ailing = await findAiling(scope, places.map(placeOf), options);
  const saved = new Map<Place, Saved | undefined>();
  for (const place of places) saved.set(place, await saveFirst(scope, place, options));
  const direct = places.filter(isDirect);
  for (const place of direct) await refuseSurprise(place, options);
  if (direct.length < places.length) refuseMixed(places);
  const filled = new Map<Place, FillResult>();
  for (const place of places)
    if (place.stream !== undefined)
      filled.set(place, await fillFirst(scope, { ...place, stream: place.stream }, options));
  let swap: LiveSwapReport | undefined;
  if (direct.length > 0) {
    const members = direct.map((place) => memberOf(place, new Date()));
    await using replacement = await openReplacement({
      stateDir: scope.stateDir,
      action: 'restore',
      hostIdentity: await hostIdentityOf(scope, options),
      snapshotIds: places.map(({ plan }) => plan.snapshot.id),
      members,
      onNote: options.onNote,
    });
    const looked = direct.map((place, index) => ({
      ...place,
      root: replacement.places[index]?.live?.self ?? place.root,
    }));
    const fill = async (withinData: boolean): Promise<void> => {
      for (const [index, one] of direct.entries()) {
        const place = replacement.places[index];
        if (place === undefined || place.isWithinData !== withinData) continue;
        const part = members[index]?.part;
        filled.set(one, await fillStage(scope.repository, { plan: one.plan, place, part }, options));
      }
      // The containers may write until they are stopped.
      for (const place of looked) await refuseSurprise(place, options);
    };
    await fill(false);
    swap = await swapLive(
      scope,
      {
        replacement,
        places: direct.map(placeOf),
        // A mount point contains its own stage, and containers on it could write there.
        fill: async () => {
          await fill(true);
          for (const place of direct)
            saved.set(place, await saveAgain(scope, { ...place, saved: saved.get(place) }, options));
        },
        ailing,
        reason: `restore ${direct.map((place) => quote(nameOf(place))).join(', ')}`,
        healthyWithinMs: Math.max(...direct.map(({ plan }) => plan.healthyWithinMs)),
      },
      options,
    );
  }
  // The volumes made for the restore stay.
  made.move();
  return places.map((place) =>
    reportOf(place.plan, {
      filled: filled.get(place) ?? { files: 0, bytes: 0, problems: [] },
      created: place.created,
      safetySnapshot: saved.get(place)?.snapshot,
      swap,
    }),
  );
}
/** Fills places that were empty or made for it. Where only a part is restored, it overwrites that part. */
async function fillFirst(
  scope: RestoreScope,
  place: Place & { readonly stream: StreamData },
  options: JobOptions,
): Promise<FillResult> {
  const { plan, mustBeEmpty, stream } = place;
  if (mustBeEmpty && plan.path === '') await beginStreamedOf(scope, { plan, safetyId: undefined });
  return await fillStream(
    scope.repository,
    { plan, mustBeEmpty, data: stream, name: nameOf(place) },
    options,
  );
}

type DirectPlace = Place & { readonly root: ByteString };

function isDirect(place: Place): place is DirectPlace {
  return place.root !== undefined;
}

/** Data filled through the engine cannot be taken back; a volume made for the restore goes as a whole. */
function refuseMixed(places: readonly Place[]): void {
  if (places.length === 1) return;
  const streamed = places.filter(({ stream, created }) => stream !== undefined && !created);
  const [first] = streamed;
  if (first === undefined) return;
  throw new AppError(
    'unsupported',
    `Cannot restore ${quote(nameOf(first))} together with others: it is reached through the engine only`,
    { hint: hintOfRoot('Remove that volume first, or restore the volumes one by one.') },
  );
}

function memberOf(place: DirectPlace, now: Date): MemberRequest {
  const { plan, root, identity, created } = place;
  return {
    kind: kindOf(place),
    name: nameOf(place),
    identity,
    root,
    part: partOf(place),
    isCreated: created,
    keepUntil: plan.keepForMs > 0 ? new Date(now.getTime() + plan.keepForMs).toISOString() : undefined,
  };
}

function placeOf(place: Place): ConsumedPlace {
  return { kind: kindOf(place), name: nameOf(place), isMountedAlone: place.plan.inConfig };
}

function kindOf({ volume }: Place): 'volume' | 'path' {
  return volume === undefined ? 'path' : 'volume';
}

function nameOf({ plan }: Place): string {
  return plan.destination.name;
}

/** Directories can be restored while the engine is down. */
async function hostIdentityOf(access: HostAccess, options: JobOptions): Promise<string | undefined> {
  try {
    return (await (await access.host()).info({ signal: options.signal })).identity;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'unavailable' || error.code === 'denied'))
      return undefined;
    throw error;
  }
}

interface Done {
  readonly filled: FillResult;
  readonly created: boolean;
  readonly safetySnapshot: Snapshot | undefined;
  readonly swap: LiveSwapReport | undefined;
}

function reportOf(plan: RestorePlan, { filled, created, safetySnapshot, swap }: Done): RestoreReport {
  const { files, bytes, bytesTaken = 0, problems } = filled;
  return {
    snapshot: plan.snapshot,
    name: plan.destination.name,
    created,
    files,
    bytes,
    bytesTaken,
    problems,
    safetySnapshot,
    stopped: swap?.stopped ?? [],
    stillMs: swap?.stillMs ?? 0,
    keptForMs: plan.keepForMs,
  };
}

/** Logs the outcome of the plans: their reports in the same order, or why all of them failed. */
async function tellOfRestores(
  { log, repository }: Pick<ApplyScope, 'log' | 'repository'>,
  plans: readonly RestorePlan[],
  came: readonly Pick<RestoreReport, 'problems'>[] | AppError,
): Promise<void> {
  const events = plans.map(({ destination, snapshot }, index): LogEvent => ({
    kind: 'restore',
    volume: destination.name,
    snapshot: snapshot.id,
    repository: repository.id,
    ...('code' in came ? failedOutcome(came) : outcomeOf(came[index])),
  }));
  await log.record(events);
}

function failedOutcome({ code, message }: AppError): Pick<LogEvent, 'outcome' | 'message'> {
  return { outcome: code === 'cancelled' ? 'cancelled' : 'failed', message };
}

function outcomeOf(
  restored: Pick<RestoreReport, 'problems'> | undefined,
): Pick<LogEvent, 'outcome' | 'message'> {
  const [first] = restored?.problems ?? [];
  return { outcome: first === undefined ? 'good' : 'partial', message: first?.message };
}
