import type { UsageHost, UsagePlace, UsagePlaceName, UsageWrite } from '../../catalog/catalog.ts';
import { hasNewHour, planHistory } from './history.ts';

/** A volume or a disk as it was found now. */
export interface FoundPlace extends Omit<
  UsagePlace,
  'bytes' | 'files' | 'measuredAtMs' | 'way' | 'growthBytesPerDay'
> {
  /** Undefined keeps the last known size. */
  readonly size:
    | {
        readonly bytes: number;
        readonly files: number | undefined;
        readonly way: NonNullable<UsagePlace['way']>;
        readonly atMs: number;
      }
    | undefined;
}

export interface WriteRequest {
  readonly host: UsageHost;
  /** When the host was last looked at, as the catalog has it. */
  readonly lookedAtMs: number | undefined;
  readonly known: readonly UsagePlace[];
  readonly found: readonly FoundPlace[];
  /** All volumes of the host were found: others are gone. */
  readonly isAll: boolean;
  readonly nowMs: number;
  readonly growthOf: (place: UsagePlaceName) => number | undefined;
}

/** Without a change, the time of the look is written this often. */
const tellEveryMs = 2 * 60_000;
/** A driver that is away lists no volumes, and their history has to outlive that. */
const missedForMs = 7 * 86_400_000;

/** What a look at a host writes: only what has changed. Undefined for nothing. Pure. */
export function planWrite(request: WriteRequest): UsageWrite | undefined {
  const { host, lookedAtMs, known, found, isAll, nowMs, growthOf } = request;
  const before = new Map(known.map((place) => [keyOf(place), place]));
  const places: UsagePlace[] = [];
  const samples: UsageWrite['samples'][number][] = [];
  const kept: UsageWrite['kept'][number][] = [];
  for (const one of found) {
    const last = before.get(keyOf(one));
    const history = one.size === undefined ? undefined : planHistory(one, one.size, last);
    samples.push(...(history?.samples ?? []));
    kept.push(...(history?.kept ?? []));
    const place = merged(one, last, growthOf);
    if (last === undefined || hasChanged(place, last)) places.push(place);
  }
  const gone = isAll ? goneOf(known, found, nowMs) : [];
  const sinceMs = host.lookedAtMs - (lookedAtMs ?? Number.NEGATIVE_INFINITY);
  const isTold = sinceMs >= 0 && sinceMs < tellEveryMs;
  if (places.length === 0 && gone.length === 0 && samples.length === 0 && isTold) return undefined;
  return { host, places, gone, samples, kept };
}

function keyOf({ kind, name }: UsagePlaceName): string {
  return `${kind} ${name}`;
}

function merged(
  { size, ...facts }: FoundPlace,
  last: UsagePlace | undefined,
  growthOf: WriteRequest['growthOf'],
): UsagePlace {
  if (size === undefined)
    return {
      ...facts,
      bytes: last?.bytes,
      files: last?.files,
      measuredAtMs: last?.measuredAtMs,
      way: last?.way,
      growthBytesPerDay: last?.growthBytesPerDay,
    };
  const { bytes, files, way, atMs } = size;
  const isNewHour = hasNewHour(atMs, last?.measuredAtMs);
  const isSame = last?.bytes === bytes && last.files === files && last.way === way;
  return {
    ...facts,
    ...{ bytes, files, way },
    // A watched size holds until the last look, so its time alone is no change within the hour.
    measuredAtMs: way === 'watched' && isSame && !isNewHour ? last.measuredAtMs : atMs,
    growthBytesPerDay: isNewHour ? growthOf(facts) : last?.growthBytesPerDay,
  };
}

function hasChanged(place: UsagePlace, last: UsagePlace): boolean {
  return (Object.keys(last) as (keyof UsagePlace)[]).some((key) => place[key] !== last[key]);
}

function goneOf(known: readonly UsagePlace[], found: readonly FoundPlace[], nowMs: number): UsagePlaceName[] {
  const there = new Set(found.map(keyOf));
  return known
    .filter((place) => {
      if (there.has(keyOf(place))) return false;
      if (place.kind === 'disk' || place.driver === 'local') return true;
      return Math.abs(nowMs - (place.measuredAtMs ?? 0)) > missedForMs;
    })
    .map(({ kind, name }) => ({ kind, name }));
}
