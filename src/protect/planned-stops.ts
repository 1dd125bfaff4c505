import type { AppError } from '../model/errors.ts';
import type { Consumer } from '../model/volume.ts';
import type { Destination } from './choose-destination.ts';
import { pathConsumers } from './describe-volume.ts';
import type { JobOptions, Protection } from './protection.ts';
import { activeRefusal } from './refuse-active.ts';
import { findConsumers, isUp, planStops } from './restore-consumers.ts';

export interface PlannedStops {
  readonly names: readonly string[];
  readonly refusal: AppError | undefined;
}

/** Who has to be stopped for it, or why that is not possible. */
export async function stopsOf(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
): Promise<PlannedStops> {
  const consumers = await consumersOf(parts, destination, options);
  const refusal = activeRefusal(destination.name, consumers);
  if (destination.kind === 'new-volume') return { names: [], refusal: undefined };
  const host = await parts.host().catch(() => undefined);
  if (host?.containers === undefined) return { names: [], refusal };
  if (destination.kind === 'volume' && (destination.way === 'stream' || destination.isMountedByEngine))
    return { names: [], refusal };
  const kind = destination.kind === 'volume' ? 'volume' : 'path';
  const { name } = destination;
  const before = (await findConsumers(parts, [{ kind, name }], options)).filter(isUp);
  if (before.length === 0) return { names: [], refusal: undefined };
  const stops = await planStops(host.containers, { before, names: [name] }, options);
  return {
    names: stops.levels.flat().map(({ identity }) => identity.name),
    refusal: stops.refusal,
  };
}

async function consumersOf(
  parts: Protection,
  destination: Destination,
  options: JobOptions,
): Promise<readonly Consumer[]> {
  if (destination.kind === 'new-volume') return [];
  if (destination.kind === 'volume') return destination.volume.consumers;
  return await pathConsumers(parts, destination.name, options);
}
