import type { Container, Containers } from '../hosts/containers.ts';
import type { HostAccess, HostScope } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions } from '../activity/index.ts';
import { lookWhenFree } from './hold-apps.ts';
import { ownContainer } from './own-container.ts';
import { planContainers, type ContainersPlan, type Unstoppable } from './plan-containers.ts';
import { containersAt } from './volume-containers.ts';

/** A place that a restore replaces. */
export interface Place {
  readonly kind: 'volume' | 'path';
  /** The volume's name or the directory. */
  readonly name: string;
  /** Only containers that mount this exact path, and so hold on to what had the name, see it. */
  readonly isMountedAlone?: boolean | undefined;
}

/** The containers, running or not, that see any of the places. */
export async function findConsumers(
  access: HostAccess,
  places: readonly Place[],
  options: JobOptions,
): Promise<readonly Container[]> {
  return await containersAt(access, places, options);
}

/** True for one that has the data mounted now. */
export function isUp({ state }: Container): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting';
}

export interface Stops extends ContainersPlan {
  /** Why they cannot be stopped for a restore. */
  readonly refusal: AppError | undefined;
}

/** A backup's passes end within this time, and the restore waits for them in any case. */
const pausedPatienceMs = 60_000;

interface StopRequest {
  readonly containers: Containers;
  readonly before: readonly Container[];
  /** Names of the places, for messages. */
  readonly names: readonly string[];
  /** As in `planContainers`. */
  readonly stopsPaused?: boolean | undefined;
}

/** The stop order, and whether they can be stopped. A container that has failed since counts as running. */
export async function planStops(
  access: HostScope,
  { containers, before, names, stopsPaused }: StopRequest,
  options: JobOptions,
): Promise<Stops> {
  const seen = new Map(before.map((container) => [container.id, container]));
  const own = await ownContainer();
  const look = async (): Promise<{ all: readonly Container[]; plan: ContainersPlan }> => {
    const all = (await containers.list({ signal: options.signal })).map((now) =>
      hasFallen(now) ? (seen.get(now.id) ?? now) : now,
    );
    const request = { all, containers: before, how: 'stop', own, stopsPaused } as const;
    return { all, plan: await planContainers(containers, request, options.signal) };
  };
  let { all, plan } = await look();
  const paused = all.filter(({ state }) => state === 'paused');
  if (plan.unstoppable.length > 0 && paused.length > 0) {
    const held = { ...options, patienceMs: pausedPatienceMs };
    ({ all, plan } = await lookWhenFree(access, { containers: paused, look }, held));
  }
  const [first] = plan.unstoppable;
  if (first === undefined) return { ...plan, refusal: undefined };
  // A paused container holds on to the old data and goes on with it.
  const shown = plan.unstoppable.map(({ name }) => quote(name)).join(', ');
  return {
    ...plan,
    refusal: new AppError(
      'in-use',
      `Cannot restore ${names.map(quote).join(', ')}: ${shown} uses it, and cannot be stopped and started again`,
      {
        detail: plan.unstoppable.map(({ name, why }) => `${quote(name)}: ${why}.`).join('\n'),
        hint: unstoppableHint(plan.unstoppable, 'restore'),
      },
    ),
  };
}

/** What the user can do about it. */
export function unstoppableHint(unstoppable: readonly Unstoppable[], action: string): string {
  const isPaused = unstoppable.every(({ instead }) => instead === 'left');
  return `${isPaused ? 'Unpause it, or stop it by hand' : 'Stop it by hand'}, and ${action} again.`;
}

/**
 * The replaced data may be what made it fail. Excludes a container that finished, or that was stopped by a
 * signal, as a user's stop may have done: those stay as they are.
 */
function hasFallen({ state, exitCode = 0, swarmService }: Container): boolean {
  return state === 'exited' && ![0, 137, 143].includes(exitCode) && swarmService === undefined;
}

/** What has to be stopped, in this order; and, where that cannot be, why. */
export interface PlannedStops {
  readonly names: readonly string[];
  readonly refusal: AppError | undefined;
}

interface StopsAt {
  /** Undefined where the host has no containers. */
  readonly containers: Containers | undefined;
  readonly places: readonly Place[];
}

/** Names of those that have to be stopped for work at the places, in order, or why that is not possible. */
export async function planStopsAt(
  access: HostScope,
  { containers, places }: StopsAt,
  options: JobOptions,
): Promise<PlannedStops> {
  if (containers === undefined) return { names: [], refusal: undefined };
  const before = (await findConsumers(access, places, options)).filter(isUp);
  if (before.length === 0) return { names: [], refusal: undefined };
  const names = places.map(({ name }) => name);
  const { levels, refusal } = await planStops(access, { containers, before, names }, options);
  return { names: levels.flat().map(({ identity }) => identity.name), refusal };
}
