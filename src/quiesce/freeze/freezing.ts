import { AppError, errorMessage } from '../../model/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Containers } from '../../hosts/containers.ts';
import { findControlGroup, groupState, isToBeFrozen, startFreezing, thawAll } from './control-group.ts';
import { workerModule } from '../../lib/worker-module.ts';
import { quote } from '../../model/quote.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { AppStep } from '../plan-containers.ts';
import { type Guardian, startGuardian } from '../guardian.ts';

/** The longest freeze: for longer ones, the engine's pause is used. */
export const frozenAtMostMs = 30_000;
/** A process in the middle of a disk write comes to rest only when the write is done. */
const stillWithinMs = 10_000;

export type Levels = readonly (readonly AppStep[])[];

/** Containers that this process is about to freeze itself. */
export interface Freezing extends AsyncDisposable {
  /** The plan, with `freeze` in place of `pause` where possible. */
  readonly levels: Levels;
  /**
   * Waits, like `watch`, for other processes that have one frozen, ahead of what must not wait long. Then
   * waits, within a bound, for a time without a health check that would make one unhealthy.
   */
  untilFree(): Promise<void>;
  /**
   * Call it just before the first freeze. Waits for other processes that have one frozen; `conflict` for one
   * that is paused. A cancel ends the wait, and this process freezes nothing.
   */
  watch(): Promise<void>;
  /**
   * Returns when the container is still; false when it is gone. After an error, such as a cancel or a
   * container that does not come to rest in time, the kernel may still be about to freeze it: it has to be
   * thawed like a frozen one.
   */
  freeze(step: AppStep): Promise<boolean>;
  /** The containers run again, so the guardian may end. */
  dismiss(): void;
}

interface FreezingWork {
  /** Those that may be frozen. */
  readonly all: readonly Container[];
  readonly containers: Pick<Containers, 'find'>;
}

/**
 * Plans to freeze through the kernel what this process may freeze, in place of the engine's pause, and starts
 * a guardian that thaws it when this process cannot. The engine's pause and unpause each start a program,
 * which takes tens of milliseconds.
 */
export async function openFreezing(
  levels: Levels,
  { all, containers }: FreezingWork,
  { deadlineMs = frozenAtMostMs, ...options }: JobOptions & { readonly deadlineMs?: number | undefined },
): Promise<Freezing> {
  const { signal } = options;
  const known = new Map(all.map((container) => [container.id, container]));
  const wayOf = (step: AppStep): AppStep => frozenStep(step, known.get(step.identity.id), deadlineMs);
  const planned = levels.map((level) => level.map(wayOf));
  const folders = planned.flat().flatMap(({ group }) => group ?? []);
  if (folders.length === 0) return nothingToFreeze(levels);
  try {
    const program = workerModule('./guardian-worker', import.meta.url);
    const guardian = await startGuardian(program, [String(deadlineMs), ...folders], { signal });
    return freezingWith(guardian, { levels: planned, containers, frozenMs: deadlineMs }, options);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return nothingToFreeze(levels);
  }
}

function frozenStep(step: AppStep, container: Container | undefined, frozenMs: number): AppStep {
  if (step.how !== 'pause' || step.was !== 'running' || container?.pid === undefined) return step;
  // Its checks leave no gap that is long enough.
  if (mayBecomeUnhealthy(container, frozenMs) && !isLongEnough(container, frozenMs)) return step;
  const group = findControlGroup({ pid: container.pid, id: container.id });
  return group === undefined ? step : { ...step, how: 'freeze', group };
}

/**
 * A health check that begins during the freeze fails, and one under way may exceed its time-out: that many
 * can fail in a row, on top of those that have failed already.
 */
function mayBecomeUnhealthy(
  { healthRetries, healthFailures = 0, healthIntervalMs = Infinity }: Container,
  frozenMs: number,
): boolean {
  if (healthRetries === undefined) return false;
  const most = 1 + Math.floor(frozenMs / Math.max(1, healthIntervalMs));
  return healthFailures + most >= healthRetries;
}

/** What passes between the request to the engine and the freeze. */
const marginMs = 500;

function isLongEnough({ healthIntervalMs = 0 }: Container, frozenMs: number): boolean {
  return healthIntervalMs > frozenMs + 2 * marginMs;
}

/** True when its last check has ended, and it would run again before the next one begins. */
function isBetweenChecks(
  { startedAt, healthCheckedAt, healthIntervalMs = 0 }: Container,
  frozenMs: number,
): boolean {
  const sinceMs = Date.now() - Date.parse(healthCheckedAt ?? startedAt ?? '');
  return sinceMs >= 0 && sinceMs + frozenMs + marginMs < healthIntervalMs;
}

function nothingToFreeze(levels: Levels): Freezing {
  return {
    levels,
    async untilFree() {},
    async watch() {},
    freeze: async () => false,
    dismiss() {},
    async [Symbol.asyncDispose]() {},
  };
}

interface PlannedFreezing {
  /** How long they may be frozen. */
  readonly frozenMs?: number;
  /** With the control groups of those that are to be frozen. */
  readonly levels: Levels;
  readonly containers: Pick<Containers, 'find'>;
}

/** The second half of `openFreezing`: all is planned, and a guardian is ready. */
export function freezingWith(
  guardian: Guardian,
  { levels, containers, frozenMs = frozenAtMostMs }: PlannedFreezing,
  { signal, onNote }: JobOptions,
): Freezing {
  const steps = levels.flat().filter(({ group }) => group !== undefined);
  const touched = new Set<string>();
  let isLost = false;
  // Without a guardian nothing would thaw them if this process ended, so consistency is given up.
  void guardian.lost.then(() => {
    isLost = true;
    try {
      thawAll(touched);
    } catch (error) {
      // Thawing is tried again on release.
      const why = errorMessage(error);
      onNote?.(`A container that is no longer watched over cannot be thawed: ${why}`);
    }
  });
  const untilFree = async (): Promise<void> => {
    for (const step of steps) await waitForOthers(step, { containers, signal });
  };
  return {
    levels,
    async untilFree() {
      await untilFree();
      await untilBetweenChecks(steps, { containers, frozenMs, signal });
    },
    async watch() {
      await untilFree();
      await guardian.watch();
    },
    async freeze({ group, identity }) {
      if (group === undefined) throw new AppError('failed', `${quote(identity.name)} is not to be frozen`);
      if (isLost) throw notWatched(steps);
      touched.add(group);
      return await freezeGroup(group, { name: identity.name, signal });
    },
    dismiss() {
      touched.clear();
      guardian.dismiss();
    },
    [Symbol.asyncDispose]: () => guardian[Symbol.asyncDispose](),
  };
}

const betweenWithinMs = 10_000;

/** If no such time comes soon, goes on without: the next check makes the container healthy again. */
async function untilBetweenChecks(
  steps: readonly AppStep[],
  {
    containers,
    frozenMs,
    signal,
  }: { readonly containers: Pick<Containers, 'find'>; readonly frozenMs: number } & JobOptions,
): Promise<void> {
  const deadline = performance.now() + betweenWithinMs;
  let waiting = steps;
  for (;;) {
    const found = await Promise.all(waiting.map(({ identity }) => containers.find(identity.id, { signal })));
    const isWaited = found.map(
      (container) =>
        container !== undefined &&
        mayBecomeUnhealthy(container, frozenMs) &&
        !isBetweenChecks(container, frozenMs),
    );
    if (!isWaited.includes(true) || performance.now() > deadline) return;
    // Those without such checks need not be asked again.
    waiting = waiting.filter((_, i) => found[i]?.healthRetries !== undefined);
    await sleep(100, undefined, { signal });
  }
}

/** Another Holdfast process with its own state folder may have it frozen for a moment. */
async function waitForOthers(
  { group = '', identity: { id, name } }: AppStep,
  { containers, signal }: { readonly containers: Pick<Containers, 'find'> } & JobOptions,
): Promise<void> {
  const deadline = performance.now() + frozenAtMostMs;
  while (isToBeFrozen(group)) {
    signal?.throwIfAborted();
    // It was paused since it was looked at, so it is not ours to unpause.
    if ((await containers.find(id, { signal }))?.state === 'paused')
      throw new AppError('conflict', `${quote(name)} was paused meanwhile`, { hint: 'Back up again.' });
    // Its freezer must be dead, so the container is taken over, and thawed later.
    if (performance.now() > deadline) return;
    await sleep(5, undefined, { signal });
  }
}

async function freezeGroup(
  group: string,
  { name, signal }: { readonly name: string } & JobOptions,
): Promise<boolean> {
  const deadline = performance.now() + stillWithinMs;
  if (!startFreezing(group)) return false;
  for (;;) {
    const state = groupState(group);
    if (state === 'frozen') return true;
    if (state === 'gone') return false;
    // Another process has thawed it already: the release sees that it is not frozen.
    if (!isToBeFrozen(group)) return true;
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new AppError('failed', `Cannot freeze ${quote(name)}: it did not come to rest`, {
        hint: 'A process of it waits for a disk that does not answer.',
      });
    }
    await sleep(1);
  }
}

function notWatched(steps: readonly AppStep[]): AppError {
  const names = steps.map(({ identity }) => quote(identity.name)).join(', ');
  return new AppError('failed', `Cannot freeze ${names}: the process that was to watch over it was ended`, {
    hint: 'Back up again.',
  });
}
