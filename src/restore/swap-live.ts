import type { HostAccess, HostScope } from '../hosts/host.ts';
import { AppError, errorMessage, isAppError } from '../model/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOptions } from '../activity/index.ts';
import type { Container, Containers } from '../hosts/containers.ts';
import { errorInWords } from '../lib/known-error.ts';
import { quote } from '../model/quote.ts';
import {
  findConsumers,
  isUp,
  makeStill,
  planStops,
  putBack,
  type AppStep,
  type Place,
  type StillContainers,
  noteRefusal,
} from '../quiesce/index.ts';
import type { Replacement } from './replacement.ts';
import { refusalOf } from './restore-journal.ts';

/** Returns the containers that see the places and are unhealthy now. */
export async function findAiling(
  access: HostAccess,
  places: readonly Place[],
  options: JobOptions,
): Promise<ReadonlySet<string>> {
  const containers = await containersOf(access, places, options);
  if (containers === undefined) return new Set();
  const found = await findConsumers(access, places, options);
  return new Set(
    found.filter(({ state, health }) => state === 'restarting' || health === 'unhealthy').map(({ id }) => id),
  );
}

export interface LiveSwapReport {
  /** Names of the containers that were stopped and started again. */
  readonly stopped: readonly string[];
  /** How long they were stopped. */
  readonly stillMs: number;
}

/**
 * Stops what sees the data, swaps, starts it again and waits for health. On any failure, cancellation
 * included, the old data is back in its place and what ran before runs on it.
 *
 * Two journals protect this: the containers' journal is written before the first stop and removed last, so it
 * is always known what ran; the restore's journal says on which data it is to run, and is read first after a
 * kill.
 */
export async function swapLive(at: HostScope, swap: LiveSwap, options: JobOptions): Promise<LiveSwapReport> {
  const containers = await containersOf(at, swap.places, options);
  if (containers === undefined) {
    await swap.fill?.();
    await swap.replacement.swap([]);
    await commit(swap, options);
    return { stopped: [], stillMs: 0 };
  }
  const before = (await findConsumers(at, swap.places, options)).filter(isUp);
  const levels = await levelsOf(at, { containers, before, swap }, options);
  const since = performance.now();
  const { reason, replacement } = swap;
  const request = { containers: before, how: 'stop', reason, restoreId: replacement.id } as const;
  const still = await makeStill(at, request, options);
  const live: Live = { at, swap, containers, before, levels, others: [], unwritten: new Set() };
  try {
    await refuseNewcomers(live, options);
    await swap.fill?.();
    await refuseNewcomers(live, options);
    await swap.replacement.swap(levels);
    // A container started between the look and the swap writes to the data that was put away.
    await refuseNewcomers(live, options);
    const backAt = levels.length === 0 ? since : await startAll(live, options);
    await commit(swap, options);
    await releaseOrLeave(still, options);
    return { stopped: levels.flat().map(({ identity }) => identity.name), stillMs: backAt - since };
  } catch (error) {
    throw await takeBackLive(live, { still, error });
  }
}

/**
 * Where only directories are restored, the engine may be down: then no container can be stopped or started.
 */
async function containersOf(
  access: HostAccess,
  places: readonly Place[],
  { signal }: JobOptions,
): Promise<Containers | undefined> {
  const isPaths = places.every(({ kind }) => kind === 'path');
  try {
    const { containers } = await access.host();
    if (isPaths) await containers?.list({ signal });
    return containers;
  } catch (error) {
    const isAway = isAppError(error, 'unavailable') || isAppError(error, 'denied');
    if (isAway && isPaths) return undefined;
    throw error;
  }
}

/** What ran and has to be started again, even if others have started or stopped it meanwhile. */
async function levelsOf(
  at: HostScope,
  { containers, before, swap }: Pick<Live, 'containers' | 'before' | 'swap'>,
  options: JobOptions,
): Promise<readonly (readonly AppStep[])[]> {
  const names = swap.places.map(({ name }) => name);
  const stops = await planStops(at, { containers, before, names }, options);
  if (stops.refusal !== undefined) throw stops.refusal;
  const checked = new Map(before.map(({ id, health }) => [id, health !== 'none']));
  return stops.levels.map((level) =>
    level.map((step) => {
      const { id } = step.identity;
      const healthy = (checked.get(id) ?? step.healthy) && !swap.ailing.has(id);
      return { ...step, startedAt: undefined, healthy };
    }),
  );
}

async function refuseNewcomers(live: Live, options: JobOptions): Promise<void> {
  const now = (await findConsumers(live.at, live.swap.places, options)).filter(isUp);
  if (now.length === 0) return;
  throw new AppError(
    'in-use',
    `Cannot restore ${namesOf(live.swap)}: ${now.map(({ name }) => quote(name)).join(', ')} was started meanwhile`,
    { hint: 'Find out what starts it, and restore again.' },
  );
}

/**
 * Starts what ran and waits until it is healthy. Returns when the last was started, by `performance.now()`.
 */
async function startAll(live: Live, { signal }: JobOptions): Promise<number> {
  const { containers, levels, swap, before } = live;
  throwIfStopped(signal);
  const report = await putBack(containers, levels, { healthyWithinMs: swap.healthyWithinMs, signal });
  throwIfStopped(signal);
  const ailing = new Set(before.filter(({ id }) => swap.ailing.has(id)).map(({ name }) => name));
  const bad = report.unhealthy.filter((name) => !ailing.has(name));
  const fallen = bad.length > 0 ? bad : await notSteady(live, signal);
  throwIfStopped(signal);
  if (fallen.length > 0) throw await notHealthy(live, fallen);
  return Math.max(...report.backAt.values());
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The restore was stopped');
}

const steadyMs = 3000;

/** Names of containers that exit or restart soon after their start: the only sign without a health check. */
async function notSteady(live: Live, signal: AbortSignal | undefined): Promise<string[]> {
  const started = new Set(live.levels.flat().map(({ identity }) => identity.id));
  const ran = live.before.filter(
    ({ id, state, swarmService }) =>
      state === 'running' && swarmService === undefined && started.has(id) && !live.swap.ailing.has(id),
  );
  const first = await lookAt(live, ran);
  const deadline = performance.now() + steadyMs;
  for (;;) {
    const now = await lookAt(live, ran);
    const fallen = ran.filter(({ name }) => {
      const [was, is] = [first.get(name), now.get(name)];
      return was !== undefined && (is?.state !== 'running' || is.startedAt !== was.startedAt);
    });
    if (fallen.length > 0) return fallen.map(({ name }) => name);
    if (performance.now() > deadline || signal?.aborted === true) return [];
    await sleep(150);
  }
}

async function lookAt({ containers }: Live, wanted: readonly Container[]): Promise<Map<string, Container>> {
  const all = await containers.list();
  return new Map(
    wanted.flatMap(({ id, name }) => {
      const found = all.find((one) => one.id === id);
      return found === undefined ? [] : [[name, found] as const];
    }),
  );
}

async function notHealthy(live: Live, names: readonly string[]): Promise<AppError> {
  const logs: string[] = [];
  for (const name of names.slice(0, 3)) {
    const text = await live.containers.logs(name, { lines: 5 }).catch(() => '');
    if (text.trim() !== '') logs.push(`${quote(name)} says: ${text.trim()}`);
  }
  const shown = names.map(quote).join(', ');
  return new AppError(
    'failed',
    `Cannot restore ${namesOf(live.swap)}: ${shown} did not come up on the restored data`,
    {
      detail: logs.length > 0 ? logs.join('\n') : undefined,
      hint: 'Try another snapshot, or look at the data first: --to a new volume.',
    },
  );
}

/** What cannot be released is left to the next command, which may run in this process. */
async function releaseOrLeave(still: StillContainers, options: JobOptions): Promise<void> {
  try {
    await still.release();
  } catch (error) {
    noteLater(error, options);
    await still.leave(error).catch((second: unknown) => noteLater(second, options));
  }
}

/** Keeps the new data. What cannot be done now is left to the next command. */
async function commit({ replacement }: LiveSwap, options: JobOptions): Promise<void> {
  await replacement.commit(new Date()).catch((error: unknown) => noteLater(error, options));
}

function noteLater(error: unknown, options: JobOptions): void {
  options.onNote?.(
    `The data is restored. What is left to be done for it is done by the next command: ${errorInWords(error)}`,
  );
}

interface LiveSwap {
  readonly replacement: Replacement;
  /** Where it takes place. */
  readonly places: readonly Place[];
  /** Fills what can be filled only when nothing runs on the data. */
  readonly fill?: (() => Promise<void>) | undefined;
  /** For the containers' journal. */
  readonly reason: string;
  /** How long containers may take to become healthy. */
  readonly healthyWithinMs: number;
  /**
   * Ids of containers that were unhealthy when the restore began: they need not be healthy afterwards. Read
   * before anything is done to them, because a pause for the safety snapshot makes a container look unhealthy
   * for a while.
   */
  readonly ailing: ReadonlySet<string>;
}

interface Live {
  readonly at: HostScope;
  readonly swap: LiveSwap;
  readonly containers: Containers;
  readonly before: readonly Container[];
  readonly levels: readonly (readonly AppStep[])[];
  /**
   * Containers that others have started since and that had to be stopped to go back, with their own journals.
   */
  readonly others: StillContainers[];
  /** Ids of those that could not be written down. */
  readonly unwritten: Set<string>;
}

/** For people. */
function namesOf({ places }: LiveSwap): string {
  return places.map(({ name }) => quote(name)).join(', ');
}

/** Restores everything. Returns the error to throw, which says what could not be restored. */
async function takeBackLive(
  live: Live,
  { still, error }: { readonly still: StillContainers; readonly error: unknown },
): Promise<unknown> {
  const { replacement } = live.swap;
  try {
    if (replacement.isSwapping) {
      await replacement.giveUp();
      await stopWithPatience(live);
      await replacement.takeBack();
    }
  } catch (second) {
    // What ran stays stopped: nothing may run on half old, half new data. The journals say how to go on.
    replacement.leave();
    await leaveAll(live, still);
    return notTakenBack(live, error, second);
  }
  try {
    await replacement.makeRoom();
    await putBack(live.containers, live.levels, {});
    for (const other of live.others) await other.release();
    for (const id of live.unwritten) await live.containers.start(id);
    await still.release();
    return error;
  } catch (second) {
    // The data is back already; its journal knows what ran, even if that was started on the other data since.
    replacement.leave();
    await noteRefusal(refusalOf(live.at.stateDir, replacement.id), second);
    await leaveAll(live, still, second);
    return notStarted(live, error, second);
  }
}

async function leaveAll({ others }: Live, still: StillContainers, why?: unknown): Promise<void> {
  for (const other of others) await other.leave(why);
  await still.leave(why);
}

const patienceMs = 60_000;
/** All that ran before is stopped for as long as this takes. */
const othersPatienceMs = 3000;

/** An engine that restarts answers again after a while. */
async function stopWithPatience(live: Live): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await stopAll(live);
    } catch (error) {
      if (!isAppError(error, 'unavailable') || performance.now() > deadline) throw error;
      await sleep(500);
    }
  }
}

/** The containers' journals exist already: what is stopped here runs again. */
async function stopAll(live: Live): Promise<void> {
  const { containers, levels, at, swap } = live;
  const ran = new Set(levels.flat().map(({ identity }) => identity.id));
  for (const step of levels.flat())
    if (step.how === 'scale') await containers.scaleService(step.identity.name, 0);
  const up = (await findConsumers(at, swap.places, {})).filter(isUp);
  await stopOthers(
    live,
    up.filter(({ id, swarmService }) => !ran.has(id) && swarmService === undefined),
  );
  // In this order: a container that has joined another can start after it only if it was stopped before it.
  for (const { how, identity } of levels.flat()) {
    const now = how === 'scale' ? undefined : await containers.find(identity.id);
    if (now !== undefined && isUp(now)) await containers.stop(identity.id, {});
  }
  // A container that would only be paused, as stopping removes it, still holds on to the data.
  for (const { id } of up) await containers.stop(id, {});
}

async function stopOthers({ at, swap, others, unwritten }: Live, came: readonly Container[]): Promise<void> {
  if (came.length === 0) return;
  const { reason, replacement } = swap;
  try {
    const restoreId = replacement.id;
    const about = { reason, restoreId, patienceMs: othersPatienceMs, stopsPaused: true };
    others.push(await makeStill(at, { ...about, containers: came, how: 'stop' }, {}));
  } catch (error) {
    if (isAppError(error, 'unavailable')) throw error;
    // A full disk, or another process that holds one of them, may prevent the journal. Going on is the
    // smaller risk: a kill in the next seconds would lose their start; stopping here leaves data half old and
    // half new, with everything down.
    for (const { id } of came) unwritten.add(id);
  }
}

function notTakenBack({ swap }: Live, error: unknown, second: unknown): AppError {
  return new AppError(
    'failed',
    `Cannot restore ${namesOf(swap)}, and could not bring back what was there yet`,
    {
      detail: `${errorInWords(error)}\n${errorInWords(second)}`,
      hint: 'Nothing is lost: it lies beside. When the cause is gone, "holdfast recover" brings it back and starts what ran.',
      cause: error,
    },
  );
}

function notStarted({ swap }: Live, error: unknown, second: unknown): AppError {
  const message = errorMessage(error);
  const reasons = [isAppError(error) ? (error.detail ?? []) : [], errorInWords(second)].flat();
  return new AppError('failed', `${message}; the data of ${namesOf(swap)} is as it was`, {
    detail: [...new Set(reasons)].join('\n'),
    hint: 'Not everything that ran could be started again: "holdfast recover" tries again.',
    cause: error,
  });
}

/** The error for a restore that was cancelled and has put everything back; undefined for any other end. */
export function stoppedOr(error: unknown, { signal }: JobOptions): AppError | undefined {
  if (isAppError(error) || signal?.aborted !== true) return undefined;
  return new AppError('cancelled', 'Cancelled: everything is as it was', { cause: error });
}
