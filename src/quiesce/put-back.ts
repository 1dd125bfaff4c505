import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Containers } from '../hosts/containers.ts';
import { errorInWords } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { thawLeft, thawStep } from './freeze/thaw-back.ts';
import type { AppStep } from './plan-containers.ts';

export interface PutBackOptions {
  readonly healthyWithinMs?: number | undefined;
  /** Called when the paused ones run again, before waiting for health. Must not throw. */
  readonly afterPause?: (() => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** True for a step that got no answer: the engine may still be about to do it. */
  readonly isUnsure?: ((step: AppStep) => boolean) | undefined;
  /** Called when a request failed, before it is tried again. */
  readonly onRefusal?: (() => Promise<void>) | undefined;
  /** How long to keep trying an engine that does not answer. */
  readonly patienceMs?: number | undefined;
  /** When it was touched, in milliseconds since 1970: what was stopped later was stopped by others. */
  readonly touchedAtMs?: ((step: AppStep) => number | undefined) | undefined;
}

export interface PutBackReport {
  readonly unhealthy: readonly string[];
  readonly disturbed: readonly string[];
  /** By `performance.now()`. */
  readonly backAt: ReadonlyMap<AppStep, number>;
  /** Names of those that were changed. */
  readonly changed: readonly string[];
  /** Names of those that others have recreated, started or stopped since: they stay as they are. */
  readonly left: readonly string[];
}

const defaultPatienceMs = 60_000;
/** An engine that answers with a refusal is likely to refuse again. */
const refusalPatienceMs = 5_000;

/**
 * Brings apps back as they were, in reverse order. Tries all before it throws. May be repeated: what is back
 * is left as it is.
 */
export async function putBack(
  containers: Containers,
  levels: readonly (readonly AppStep[])[],
  options: PutBackOptions,
): Promise<PutBackReport> {
  const work: Work = {
    containers,
    options,
    disturbed: [],
    changed: [],
    left: [],
    unhealthy: [],
    backAt: new Map(),
  };
  const deadline =
    options.healthyWithinMs === undefined ? undefined : performance.now() + options.healthyWithinMs;
  const failures: { readonly name: string; readonly error: unknown }[] = [];
  for (const level of levels.toReversed()) {
    await Promise.all(
      level.map(async (step) => {
        try {
          if (step.how === 'freeze') return await thawBack(work, step);
          await withPatience(() => putOneBack(work, step), options);
          work.backAt.set(step, performance.now());
        } catch (error) {
          failures.push({ name: step.identity.name, error });
        }
      }),
    );
    if (level.some(({ how }) => how === 'pause' || how === 'freeze')) await options.afterPause?.();
    // A failed start is an error already, so the rest is not waited for.
    if (deadline !== undefined && failures.length === 0) await waitForHealth(work, level, deadline);
  }
  if (failures.length > 0) throw notBack(failures);
  return work;
}

interface Work extends PutBackReport {
  readonly containers: Containers;
  readonly options: PutBackOptions;
  readonly disturbed: string[];
  readonly changed: string[];
  readonly left: string[];
  readonly unhealthy: string[];
  readonly backAt: Map<AppStep, number>;
}

function notBack(failures: readonly { readonly name: string; readonly error: unknown }[]): AppError {
  const [first] = failures;
  const names = failures.map(({ name }) => quote(name)).join(', ');
  const cause = first?.error;
  return new AppError('failed', `Cannot bring ${names} back as it was before`, {
    detail: cause instanceof Error ? errorInWords(cause) : undefined,
    hint: 'It is written down what ran: "holdfast recover" tries again, and so does the next command.',
    cause,
  });
}

async function withPatience(work: () => Promise<void>, options: PutBackOptions): Promise<void> {
  const began = performance.now();
  for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, 2000)) {
    try {
      return await work();
    } catch (error) {
      const patience = options.patienceMs ?? defaultPatienceMs;
      const limit = isAppError(error, 'unavailable') ? patience : Math.min(patience, refusalPatienceMs);
      if (performance.now() - began + delayMs > limit) throw error;
      await options.onRefusal?.();
      await sleep(delayMs);
    }
  }
}

async function thawBack(work: Work, step: AppStep): Promise<void> {
  if (work.options.isUnsure?.(step) === true) {
    if (await thawLeft(work.containers, step)) work.changed.push(step.identity.name);
    return;
  }
  const { backAt, wasFrozen, isDisturbed } = await thawStep(work.containers, step);
  work.backAt.set(step, backAt);
  if (wasFrozen) work.changed.push(step.identity.name);
  if (isDisturbed) work.disturbed.push(step.identity.name);
}

async function putOneBack(work: Work, step: AppStep): Promise<void> {
  if (step.how === 'scale') return await scaleBack(work, step);
  if (await unpauseAtOnce(work, step)) return;
  let container = await findAgain(work.containers, step);
  // Removed meanwhile; what has its name or place now is another container, not ours.
  if (container === undefined) return leaveIt(work, step);
  const startedAgain = wasStartedAgain(container, step);
  // Asked first, because what is stopped below is stopped by us.
  const stoppedSince = !runs(container) && (await wasStoppedSince(work, container, step));
  if (runs(container) && !startedAgain && mayBePending(work, step))
    container = await makeCertain(work.containers, container, step);
  const { id, name, state } = container;
  if (state === 'paused') {
    if (step.was === 'paused') return;
    await work.containers.unpause(id);
  } else if (runs(container)) {
    if (step.was !== 'paused') {
      if (!work.changed.includes(name)) work.disturbed.push(name);
      return;
    }
    // Started by others since, and not by this call a moment ago.
    if (startedAgain && !work.changed.includes(name)) return leaveIt(work, step);
    await work.containers.pause(id);
  } else {
    // An engine lets a paused container run for a moment when it ends it.
    if (step.how === 'pause') work.disturbed.push(name);
    // Others started it since and it has exited again, or they stopped it: not our doing.
    if (startedAgain || stoppedSince) return leaveIt(work, step);
    if (step.identity.swarmService !== undefined) return;
    await work.containers.start(id);
    work.changed.push(name);
    if (step.was === 'paused') await work.containers.pause(id);
    return;
  }
  work.changed.push(name);
}

function leaveIt({ left, disturbed }: Work, { identity: { name } }: AppStep): void {
  if (!left.includes(name)) left.push(name);
  if (!disturbed.includes(name)) disturbed.push(name);
}

/** Tries the most likely action without asking first. False where it was not paused. */
async function unpauseAtOnce({ containers, options, changed }: Work, step: AppStep): Promise<boolean> {
  if (step.how !== 'pause' || options.isUnsure?.(step) === true) return false;
  const { id, name } = step.identity;
  try {
    if (!(await containers.unpause(id))) return false;
  } catch (error) {
    if (isAppError(error, 'unavailable')) throw error;
    // Gone or exited: the caller finds out.
    return false;
  }
  changed.push(name);
  return true;
}

function runs({ state }: Container): boolean {
  return state === 'running' || state === 'restarting';
}

function wasStartedAgain(container: Container, { identity, startedAt }: AppStep): boolean {
  return (
    container.id === identity.id &&
    startedAt !== undefined &&
    container.startedAt !== undefined &&
    container.startedAt !== startedAt
  );
}

/** For this long an engine that hangs may still be about to do what it was asked for. */
const pendingMs = 10 * 60_000;

/** Later than that, a stop just to be certain would be a needless outage. */
function mayBePending({ options }: Work, step: AppStep): boolean {
  if (options.isUnsure?.(step) !== true) return false;
  const touchedAtMs = options.touchedAtMs?.(step);
  const { how, stopTimeoutMs } = step;
  if (touchedAtMs === undefined || (how === 'stop' && stopTimeoutMs === undefined)) return true;
  const agoMs = Date.now() - touchedAtMs;
  return agoMs < pendingMs + (how === 'stop' ? (stopTimeoutMs ?? 0) : 0);
}

/**
 * Waits for what an engine may still be about to do, by requesting it again: a container that is about to be
 * stopped looks like any other that runs.
 */
async function makeCertain(containers: Containers, container: Container, step: AppStep): Promise<Container> {
  const { id } = container;
  try {
    await (step.how === 'pause' ? containers.pause(id) : containers.stop(id, {}));
  } catch (error) {
    // A refusal means that it was not about to do it.
    if (isAppError(error, 'unavailable')) throw error;
  }
  return (await containers.find(id)) ?? container;
}

/** A stop that we requested may take the container's own time-out, plus the engine's time. */
const stopSlackMs = 60_000;

/**
 * True for a container that exited for another reason than our stop. A paused one does not exit by itself:
 * others have ended it, unless its engine has. One that we stopped exited soon after our last request, which
 * a killed recovery may have made. When in doubt it counts as ours: an app that ran must not stay stopped.
 */
async function wasStoppedSince(work: Work, container: Container, step: AppStep): Promise<boolean> {
  const touchedAtMs = work.options.touchedAtMs?.(step);
  const { finishedAt, state, id } = container;
  if (touchedAtMs === undefined || finishedAt === undefined || state !== 'exited') return false;
  const finishedAtMs = Date.parse(finishedAt);
  if (step.how === 'stop') {
    // Our own stop was seen to end it, however long that took and wherever the clock went.
    if (step.stopTimeoutMs === undefined || work.options.isUnsure?.(step) !== true) return false;
    const aheadMs = await work.containers.clockAheadMs().catch(() => Number.POSITIVE_INFINITY);
    const lastAskedAtMs = touchedAtMs + pendingMs + step.stopTimeoutMs;
    const isLater = finishedAtMs - aheadMs > lastAskedAtMs + step.stopTimeoutMs + stopSlackMs;
    if (!isLater) return false;
  }
  const sinceMs = Math.min(touchedAtMs, finishedAtMs);
  if (await hasRunThrough(work.containers, { id, sinceMs })) return true;
  return await work.containers.wasAskedToEnd(id, touchedAtMs).catch(() => false);
}

/** An engine or machine that went down would have ended all others as well. */
async function hasRunThrough(
  containers: Containers,
  { id, sinceMs }: { readonly id: string; readonly sinceMs: number },
): Promise<boolean> {
  const all = await containers.list();
  return all.some(
    (other) =>
      other.id !== id &&
      (runs(other) || other.state === 'paused') &&
      other.startedAt !== undefined &&
      Date.parse(other.startedAt) < sinceMs,
  );
}

async function scaleBack(work: Work, step: AppStep): Promise<void> {
  const { identity, replicas = 0, running } = step;
  const service = identity.swarmService ?? identity.name;
  let now: number | undefined;
  try {
    now = await work.containers.serviceReplicas(service);
  } catch (error) {
    if (isAppError(error, 'not-found')) return;
    throw error;
  }
  if (now !== 0) {
    // As it was before: the request may never have reached the engine.
    const isUntouched = now === replicas && work.options.isUnsure?.(step) === true;
    if (!isUntouched && !work.changed.includes(service)) work.disturbed.push(service);
    return;
  }
  await work.containers.scaleService(service, replicas, { atLeast: running });
  work.changed.push(service);
}

/** The same container; one that an engine is removing, or failed to remove, counts as gone. */
async function findAgain(containers: Containers, { identity }: AppStep): Promise<Container | undefined> {
  const same = await containers.find(identity.id);
  if (same?.id !== identity.id) return undefined;
  return same.state === 'dead' || same.state === 'removing' ? undefined : same;
}

/** Waits until all that were healthy are so again, and the others run. */
async function waitForHealth(work: Work, level: readonly AppStep[], deadline: number): Promise<void> {
  for (;;) {
    const states = await Promise.all(
      level.map(async (step) => ({ step, now: await lookAt(work, step).catch(() => 'bad' as const) })),
    );
    const bad = states.filter(({ now }) => now !== 'good').map(({ step }) => step.identity.name);
    if (bad.length === 0) return;
    const isOver = performance.now() > deadline || states.some(({ now }) => now === 'ended');
    if (isOver || work.options.signal?.aborted === true) {
      work.unhealthy.push(...bad);
      return;
    }
    await sleep(150);
  }
}

/** A container that has exited, and that its engine does not restart, will not become healthy. */
async function lookAt({ containers }: Work, step: AppStep): Promise<'good' | 'bad' | 'ended'> {
  if (step.how === 'scale' || step.was !== 'running') return 'good';
  const now = await findAgain(containers, step);
  if (now === undefined) return 'good';
  if (now.state === 'exited' || now.state === 'dead') return 'ended';
  if (now.state !== 'running') return 'bad';
  return !step.healthy || now.health === 'healthy' || now.health === 'none' ? 'good' : 'bad';
}
