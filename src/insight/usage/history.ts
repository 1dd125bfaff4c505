import type { UsagePlace, UsagePlaceName, UsageSample, UsageWrite } from '../../catalog/catalog.ts';

/** How much history is kept: minutes for a day, hours for a month, days for two years. */
export const spans = {
  minute: { seconds: 60, rows: 1440 },
  hour: { seconds: 3600, rows: 744 },
  day: { seconds: 86_400, rows: 730 },
} as const;

type History = Pick<UsageWrite, 'samples' | 'kept'>;

/**
 * What a measurement adds to the history of a place. Each span of time has the last size in it, so a minute
 * rolls up into its hour and its day by writing all three. A minute is written for a size that has changed
 * only, and an hour always: so a gap of hours means that nothing was measured. Rows are counted and never
 * removed by their age: a clock that jumps leaves odd rows, and wipes nothing. Pure.
 */
export function planHistory(
  place: UsagePlaceName,
  now: { readonly bytes: number; readonly atMs: number },
  before: Pick<UsagePlace, 'bytes' | 'measuredAtMs'> | undefined,
): History {
  const { kind, name } = place;
  const atSeconds = Math.floor(now.atMs / 1000);
  const isNewHour = hasNewHour(now.atMs, before?.measuredAtMs);
  const hasChanged = before?.bytes !== now.bytes;
  if (!hasChanged && !isNewHour) return { samples: [], kept: [] };
  const { minute, hour, day } = spans;
  const samples = [...(hasChanged ? [minute] : []), hour, day].map(({ seconds }): UsageSample => ({
    ...{ kind, name, spanSeconds: seconds, atSeconds, bytes: now.bytes },
    bucketSeconds: Math.floor(atSeconds / seconds) * seconds,
  }));
  const kept = isNewHour
    ? Object.values(spans).map(({ seconds, rows }) => ({ kind, name, spanSeconds: seconds, atSeconds, rows }))
    : [];
  return { samples, kept };
}

/** True also when the clock has gone back. */
export function hasNewHour(atMs: number, beforeMs: number | undefined): boolean {
  const hourOf = (ms: number): number => Math.floor(ms / 1000 / spans.hour.seconds);
  return beforeMs === undefined || hourOf(atMs) !== hourOf(beforeMs);
}

/** One point of a history. */
export type Sample = Pick<UsageSample, 'atSeconds' | 'bytes'>;

const leastSamples = 6;
const leastSeconds = spans.day.seconds;
/** Their pairs are compared: the work grows with the square. */
const mostSamples = 100;

/** The spans that the growth is taken from: days of a month, and hours while there are few days. */
export const growthWindow = {
  days: { spanSeconds: spans.day.seconds, lastSeconds: 30 * spans.day.seconds },
  hours: { spanSeconds: spans.hour.seconds, lastSeconds: 7 * spans.day.seconds },
} as const;

/**
 * How many bytes a place grows by in a day: the median of the slopes between all pairs of points (Theil and
 * Sen), which a single import, a clean-up or a wrong clock does not move. Undefined below a day or six points
 * of history: there is no basis. Pure.
 */
export function growthPerDay(
  { days, hours }: { readonly days: readonly Sample[]; readonly hours: readonly Sample[] },
  nowMs: number,
): number | undefined {
  const ofMonth = usable(days, nowMs, growthWindow.days.lastSeconds);
  const points = ofMonth ?? usable(hours, nowMs, growthWindow.hours.lastSeconds);
  if (points === undefined) return undefined;
  const slopes: number[] = [];
  for (const [index, earlier] of points.entries())
    for (const later of points.slice(index + 1))
      if (later.atSeconds > earlier.atSeconds)
        slopes.push((later.bytes - earlier.bytes) / (later.atSeconds - earlier.atSeconds));
  const slope = median(slopes);
  return slope === undefined ? undefined : Math.round(slope * spans.day.seconds) + 0;
}

/** Those up to now, thinned out evenly; undefined when they are too few. */
function usable(samples: readonly Sample[], nowMs: number, lastSeconds: number): Sample[] | undefined {
  const now = nowMs / 1000;
  const inWindow = samples
    .filter(({ atSeconds }) => atSeconds <= now && atSeconds >= now - lastSeconds)
    .toSorted((a, b) => a.atSeconds - b.atSeconds);
  const [first, last] = [inWindow[0], inWindow.at(-1)];
  if (first === undefined || last === undefined || inWindow.length < leastSamples) return undefined;
  if (last.atSeconds - first.atSeconds < leastSeconds) return undefined;
  if (inWindow.length <= mostSamples) return inWindow;
  const step = (inWindow.length - 1) / (mostSamples - 1);
  return Array.from({ length: mostSamples }, (_, index) => inWindow[Math.round(index * step)] ?? last);
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

const farthestDays = 3650;

/** When a disk is full; undefined for one that does not grow, and for more than ten years. Pure. */
export function fullAt(
  freeBytes: number | undefined,
  growthBytesPerDay: number | undefined,
  nowMs: number,
): Date | undefined {
  if (freeBytes === undefined || growthBytesPerDay === undefined || growthBytesPerDay <= 0) return undefined;
  const days = freeBytes / growthBytesPerDay;
  return days > farthestDays ? undefined : new Date(nowMs + days * spans.day.seconds * 1000);
}
