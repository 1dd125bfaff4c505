import type { StreamData } from '../hosts/host.ts';
import type { ByteString } from '../model/byte-string.ts';
import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type FillResult, fillStage, partOf, refuseSurprise } from './fill-directory.ts';
import { fillStream } from './fill-stream.ts';
import { takeLeases } from '../leases/index.ts';
import { tellOfRestores } from './tell-of-restores.ts';
import { changedMeanwhile, type OpenDestination, openDestination } from './open-destination.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { replaceStreamed } from './replace-streamed.ts';
import { hintOfRoot } from './hint-of-root.ts';
import { beginStreamedOf, noteGone, noteWhole } from './note-streamed.ts';
import type { Place as ConsumedPlace } from '../quiesce/index.ts';
import { type MemberRequest, openReplacement } from './replacement.ts';
import type { RestorePlan } from './restore-plan.ts';
import { identityOf, isPath, keepLineages } from './restore-lineage.ts';
import { type RestoreReport, reportOf } from './restore-report.ts';
import { type Saved, saveAgain, saveFirst } from './save-safety.ts';
import { stoppedOr } from './stopped.ts';
import { findAiling, type LiveSwapReport, swapLive } from './swap-live.ts';

/** Carries a plan out, under a lease on the destination. A failure leaves the destination as it was. */
export async function applyRestore(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const [report] = await applyRestores(parts, [plan], options);
  if (report === undefined) throw new AppError('failed', `Cannot restore ${quote(plan.destination.name)}`);
  return report;
}

/**
 * Carries several plans out as one, under a lease on each destination: all of them, or nothing is changed. Containers
 * are stopped once for all of it. Reports in the order of the plans.
 */
export async function applyRestores(
  parts: Protection,
  plans: readonly RestorePlan[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  for (const { refusal } of plans) if (refusal !== undefined) throw refusal;
  const works: Work[] = [];
  for (const plan of plans)
    works.push({ plan, identity: await identityOf(parts, plan.destination, options) });
  const places = works.map(({ plan: { destination }, identity }) => ({
    kind: isPath(destination) ? ('path' as const) : ('volume' as const),
    name: destination.name,
    identity,
  }));
  await using _leases = await takeLeases(parts, { places, work: 'restore' }, options);
  return await restoreHeld(parts, works, options);
}

/** The same as `applyRestore`, for one who holds the lease on the destination. */
export async function applyRestoreHeld(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<void> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const identity = await identityOf(parts, plan.destination, options);
  await restoreHeld(parts, [{ plan, identity }], options);
}

async function restoreHeld(
  parts: Protection,
  works: readonly Work[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  const plans = works.map(({ plan }) => plan);
  try {
    const reports = await restoreLeased(parts, works, options);
    await noteWhole(parts, plans, options);
    await keepLineages(parts, plans, options);
    await tellOfRestores(parts, plans, reports);
    return reports;
  } catch (error) {
    const known = stoppedOr(error, options) ?? knownError(error, `Cannot restore ${namesOf(works)}`);
    await noteGone(parts, plans);
    await tellOfRestores(parts, plans, known);
    throw known;
  }
}

interface Work {
  readonly plan: RestorePlan;
  /** What the lease is on. */
  readonly identity: string;
}

async function restoreLeased(
  parts: Protection,
  works: readonly Work[],
  options: JobOptions,
): Promise<RestoreReport[]> {
  const [only] = works;
  if (only !== undefined && works.length === 1 && isStreamed(only.plan))
    return [await throughEngine(parts, only.plan, options)];
  await using made = new AsyncDisposableStack();
  await using opened = new AsyncDisposableStack();
  const places: Place[] = [];
  for (const { plan, identity } of works)
    places.push({ ...(await openDestination(parts, { plan, opened, made }, options)), identity });
  const ailing = await findAiling(parts, places.map(placeOf), options);
  const saved = new Map<Place, Saved | undefined>();
  for (const place of places) saved.set(place, await saveFirst(parts, place, options));
  const { filled, swap } = await replaceAll(parts, { places, ailing, saved }, options);
  // It stays: nothing of it is disposed.
  made.move();
  return places.map((place, index) =>
    reportOf(place.plan, {
      filled: filled[index] ?? nothing,
      created: place.created,
      safetySnapshot: saved.get(place)?.snapshot,
      swap,
    }),
  );
}

interface Place extends OpenDestination {
  readonly identity: string;
}

const nothing: FillResult = { files: 0, bytes: 0, problems: [] };

/** Data that is there, and has to be replaced through the engine: what it cannot do, the volume is made again for. */
function isStreamed({ destination, replaces, path }: RestorePlan): boolean {
  return destination.kind === 'volume' && destination.way === 'stream' && replaces && path === '';
}

async function throughEngine(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const { name } = plan.destination;
  const volume = await (await parts.host()).findVolume(name, { signal: options.signal });
  if (volume === undefined) throw changedMeanwhile(name);
  const done = await replaceStreamed(parts, { plan, volume }, options);
  return reportOf(plan, { ...done, created: false, swap: undefined });
}

interface Replaced {
  readonly filled: readonly FillResult[];
  readonly swap: LiveSwapReport | undefined;
}

/** Makes everything ready beside, then swaps all of it at once. */
async function replaceAll(
  parts: Protection,
  {
    places,
    ailing,
    saved,
  }: {
    readonly places: readonly Place[];
    readonly ailing: ReadonlySet<string>;
    readonly saved: Map<Place, Saved | undefined>;
  },
  options: JobOptions,
): Promise<Replaced> {
  const direct = places.filter(isDirect);
  for (const place of direct) await refuseSurprise(place, options);
  if (direct.length < places.length) refuseMixed(places);
  const filled = new Map<Place, FillResult>();
  for (const place of places)
    if (place.stream !== undefined)
      filled.set(place, await fillFirst(parts, { ...place, stream: place.stream }, options));
  if (direct.length === 0) return { filled: [...filled.values()], swap: undefined };
  const members = direct.map((place) => memberOf(place, new Date(parts.now())));
  const hostIdentity = await hostIdentityOf(parts, options);
  const snapshotIds = places.map(({ plan }) => plan.snapshot.id);
  const { stateDir } = parts;
  await using replacement = await openReplacement({
    stateDir,
    action: 'restore',
    hostIdentity,
    snapshotIds,
    members,
    onNote: options.onNote,
  });
  const fill = async (withinData: boolean): Promise<void> => {
    for (const [index, one] of direct.entries()) {
      const place = replacement.places[index];
      if (place === undefined || place.isWithinData !== withinData) continue;
      const part = members[index]?.part;
      filled.set(one, await fillStage(parts, { plan: one.plan, place, part }, options));
    }
  };
  const looked = direct.map((place, index) => ({
    ...place,
    root: replacement.places[index]?.live?.self ?? place.root,
  }));
  await fill(false);
  for (const place of looked) await refuseSurprise(place, options);
  const swap = await swapLive(
    parts,
    {
      replacement,
      places: direct.map(placeOf),
      // A mount point holds its stage itself, where what runs on it could write to that.
      fill: async () => {
        await fill(true);
        // What runs may write until it has stopped.
        for (const place of looked) await refuseSurprise(place, options);
        for (const place of direct)
          saved.set(place, await saveAgain(parts, { ...place, saved: saved.get(place) }, options));
      },
      ailing,
      reason: `restore ${direct.map((place) => quote(nameOf(place))).join(', ')}`,
      healthyWithinMs: Math.max(...direct.map(({ plan }) => plan.healthyWithinMs)),
    },
    options,
  );
  return { filled: places.map((place) => filled.get(place) ?? nothing), swap };
}

/** Into what was empty or was made for it. A part of what is there is written over: the rest of it stays as it is. */
async function fillFirst(
  parts: Protection,
  place: Place & { readonly stream: StreamData },
  options: JobOptions,
): Promise<FillResult> {
  const { plan, mustBeEmpty, stream } = place;
  if (mustBeEmpty && plan.path === '') await beginStreamedOf(parts, { plan, safetyId: undefined });
  return await fillStream(parts, { plan, mustBeEmpty, data: stream, name: nameOf(place) }, options);
}

type DirectPlace = Place & { readonly root: ByteString };

function isDirect(place: Place): place is DirectPlace {
  return place.root !== undefined;
}

/** What was filled through the engine cannot be taken back; a volume that was made for it goes as a whole. */
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

function namesOf(works: readonly Work[]): string {
  return works.map(({ plan }) => quote(plan.destination.name)).join(', ');
}

/** Directories can be restored where no engine answers. */
async function hostIdentityOf(parts: Protection, options: JobOptions): Promise<string | undefined> {
  try {
    return (await (await parts.host()).info({ signal: options.signal })).identity;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'unavailable' || error.code === 'denied'))
      return undefined;
    throw error;
  }
}
