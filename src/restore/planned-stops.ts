import { quote } from '../model/quote.ts';
import type { Consumer } from '../model/volume.ts';
import type { Destination } from './choose-destination.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import { activeRefusal, pathConsumers, planStopsAt, type PlannedStops } from '../quiesce/index.ts';

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
  const places = [{ kind, name: destination.name } as const];
  return await planStopsAt(parts, { containers: host.containers, places }, options);
}

/**
 * What is said beforehand where the data is made ready in what containers can write to: they are stopped before, and not for
 * the swap alone. Pure.
 */
export function outageNotes(
  stops: readonly string[],
  destination: Pick<Destination, 'kind' | 'name'> & { readonly canKeep?: boolean },
): string[] {
  const { kind } = destination;
  if (kind === 'new-volume' || kind === 'entry') return [];
  if (stops.length === 0 || destination.canKeep !== false) return [];
  return [
    `${quote(destination.name)} cannot be swapped as a whole, as a mount point: what uses it is stopped for as long as the restore takes.`,
  ];
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
