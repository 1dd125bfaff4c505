import { setImmediate as breathe } from 'node:timers/promises';
import type { Catalog, UsageMemory, UsagePlaceName } from '../../catalog/catalog.ts';
import type { HostInfo } from '../../hosts/host.ts';
import { growthPerDay, growthWindow, hasNewHour } from './history.ts';
import { type FoundPlace, planWrite } from './plan-write.ts';

/** Writes what was found, as far as it has changed. Only what is watched counts as looked at. */
export async function writeFound({
  catalog,
  info,
  found,
  isAll,
  isWatched,
}: {
  readonly catalog: Pick<Catalog, 'usage'>;
  readonly info: HostInfo;
  readonly found: readonly FoundPlace[];
  readonly isAll: boolean;
  readonly isWatched: boolean;
}): Promise<void> {
  const { usage } = catalog;
  const known = usage.listPlaces(info.identity);
  const last = usage.listHosts().find(({ identity }) => identity === info.identity);
  const growths = await growthsOf(usage, { info, known, found });
  const nowMs = Date.now();
  const lookedAtMs = isWatched ? nowMs : (last?.lookedAtMs ?? 0);
  const endpoint = info.kind === 'embedded' ? '' : info.endpoint;
  const host = { identity: info.identity, kind: info.kind, endpoint, lookedAtMs };
  const growthOf = ({ kind, name }: UsagePlaceName): number | undefined => growths.get(`${kind} ${name}`);
  const written = planWrite({ host, lookedAtMs: last?.lookedAtMs, known, found, isAll, nowMs, growthOf });
  if (written !== undefined) usage.write(written);
}

/** Of those that begin an hour; a large host has thousands, so other work gets its turn. */
async function growthsOf(
  usage: UsageMemory,
  {
    info,
    known,
    found,
  }: {
    readonly info: HostInfo;
    readonly known: ReturnType<UsageMemory['listPlaces']>;
    readonly found: readonly FoundPlace[];
  },
): Promise<Map<string, number | undefined>> {
  const before = new Map(known.map((place) => [`${place.kind} ${place.name}`, place]));
  const growths = new Map<string, number | undefined>();
  for (const { kind, name, size } of found) {
    const last = before.get(`${kind} ${name}`);
    if (size === undefined || last === undefined || !hasNewHour(size.atMs, last.measuredAtMs)) continue;
    const [days, hours] = [growthWindow.days, growthWindow.hours].map(({ spanSeconds, lastSeconds }) =>
      usage.listSamples(
        info.identity,
        { kind, name },
        { spanSeconds, fromSeconds: size.atMs / 1000 - lastSeconds },
      ),
    );
    growths.set(`${kind} ${name}`, growthPerDay({ days: days ?? [], hours: hours ?? [] }, size.atMs));
    if (growths.size % 20 === 0) await breathe();
  }
  return growths;
}
