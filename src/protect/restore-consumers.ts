import type { Container, Containers } from '../hosts/containers.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { JobOptions, Protection } from './protection.ts';
import { planStill, type StillPlan } from './quiesce/plan-still.ts';
import { containersAt } from './quiesce/volume-containers.ts';

/** A place that a restore replaces. */
export interface Place {
  readonly kind: 'volume' | 'path';
  /** The volume's name or the directory. */
  readonly name: string;
}

/** The containers, running or not, that see any of the places. */
export async function findConsumers(
  parts: Protection,
  places: readonly Place[],
  options: JobOptions,
): Promise<readonly Container[]> {
  return await containersAt(parts, places, options);
}

/** True for one that has the data mounted now. */
export function isUp({ state }: Container): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting';
}

export interface Stops extends StillPlan {
  /** Why they cannot be stopped for a restore. */
  readonly refusal: AppError | undefined;
}

interface StopWish {
  readonly before: readonly Container[];
  /** Of the places, for messages. */
  readonly names: readonly string[];
}

/** In which order they have to be stopped, and whether they can be. One that has fallen since it was looked at ran all the same. */
export async function planStops(
  containers: Containers,
  { before, names }: StopWish,
  { signal }: JobOptions,
): Promise<Stops> {
  const seen = new Map(before.map((container) => [container.id, container]));
  const all = (await containers.list({ signal })).map((now) =>
    hasFallen(now) ? (seen.get(now.id) ?? now) : now,
  );
  const plan = await planStill(containers, { all, containers: before, how: 'stop' }, signal);
  // What is paused only goes on with the old data: it holds on to it.
  const paused = plan.levels.flat().filter(({ how }) => how === 'pause');
  if (paused.length === 0) return { ...plan, refusal: undefined };
  const shown = paused.map(({ identity }) => quote(identity.name)).join(', ');
  return {
    ...plan,
    notes: [],
    refusal: new AppError(
      'in-use',
      `Cannot restore ${names.map(quote).join(', ')}: ${shown} uses it, and cannot be stopped and started again`,
      {
        detail: 'It was started with --rm and would be removed, or it belongs to a global service.',
        hint: 'Stop it by hand, and restore again.',
      },
    ),
  };
}

/**
 * The data that made it fall may be what is replaced. Not one that was done, or that somebody has stopped, by a signal that
 * may have ended it: it stays as it is.
 */
function hasFallen({ state, exitCode = 0, swarmService }: Container): boolean {
  return state === 'exited' && ![0, 137, 143].includes(exitCode) && swarmService === undefined;
}

export interface PlannedStops {
  readonly names: readonly string[];
  readonly refusal: AppError | undefined;
}

interface StopsAt {
  /** Undefined where none run. */
  readonly containers: Containers | undefined;
  readonly places: readonly Place[];
}

/** Names of those that have to be stopped for work at the places, in order, or why that is not possible. */
export async function planStopsAt(
  parts: Protection,
  { containers, places }: StopsAt,
  options: JobOptions,
): Promise<PlannedStops> {
  if (containers === undefined) return { names: [], refusal: undefined };
  const before = (await findConsumers(parts, places, options)).filter(isUp);
  if (before.length === 0) return { names: [], refusal: undefined };
  const names = places.map(({ name }) => name);
  const { levels, refusal } = await planStops(containers, { before, names }, options);
  return { names: levels.flat().map(({ identity }) => identity.name), refusal };
}
