import type { CalendarSpan } from './calendar-span.ts';

/** When a snapshot was made, on the clock of the machine that made it: its days begin and end by that clock. */
export interface SnapshotTime {
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  /** What that clock is ahead of UTC. */
  readonly offsetMs: number;
}

const pattern = /^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/** Reads RFC 3339; what is not quite that is read as JavaScript reads it, by UTC. */
export function readSnapshotTime(text: string): SnapshotTime {
  const [, fraction = '', zone = 'Z'] = pattern.exec(text) ?? [];
  const ms = Date.parse(text);
  const offsetMs = zoneOffsetMs(zone);
  const wall = new Date(ms + offsetMs);
  const finer = BigInt(fraction.padEnd(9, '0').slice(3, 9));
  return {
    ns: BigInt(Number.isNaN(ms) ? 0 : ms) * 1_000_000n + finer,
    year: wall.getUTCFullYear(),
    month: wall.getUTCMonth() + 1,
    day: wall.getUTCDate(),
    hour: wall.getUTCHours(),
    offsetMs,
  };
}

function zoneOffsetMs(zone: string): number {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** The moment a span of the calendar before `time`, in nanoseconds since 1970. */
export function before(time: SnapshotTime, span: CalendarSpan): bigint {
  const ms = Number(time.ns / 1_000_000n);
  const finer = time.ns % 1_000_000n;
  const dayMs = isLocal(ms, time.offsetMs) ? localBefore(ms, span) : fixedBefore(ms, time.offsetMs, span);
  // Further back than dates go, everything is later.
  const bounded = Number.isNaN(dayMs) ? -8.64e15 : dayMs;
  return BigInt(bounded) * 1_000_000n + finer - BigInt(span.hours) * 3_600_000_000_000n;
}

/** A clock that agrees with this machine's at that moment is taken for one of the same place, with its summer time. */
function isLocal(ms: number, offsetMs: number): boolean {
  return -new Date(ms).getTimezoneOffset() * 60_000 === offsetMs;
}

function localBefore(ms: number, { years, months, days }: CalendarSpan): number {
  const date = new Date(ms);
  date.setFullYear(date.getFullYear() - years, date.getMonth() - months, date.getDate() - days);
  return date.getTime();
}

function fixedBefore(ms: number, offsetMs: number, { years, months, days }: CalendarSpan): number {
  const date = new Date(ms + offsetMs);
  date.setUTCFullYear(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  return date.getTime() - offsetMs;
}

/** The year and week that ISO 8601 counts, as one number: 202653. */
export function isoWeek({ year, month, day }: SnapshotTime): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // A week belongs to the year of its Thursday.
  date.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  const first = new Date(0);
  first.setUTCFullYear(date.getUTCFullYear(), 0, 1);
  const week = Math.floor((date.getTime() - first.getTime()) / 86_400_000 / 7) + 1;
  return date.getUTCFullYear() * 100 + week;
}
