import { type CalendarSpan, formatSpan, isZeroSpan } from './calendar-span.ts';
import type { Snapshot } from './snapshot.ts';

export const periods = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Period = (typeof periods)[number];

/** Which snapshots of a group to keep, by restic's rules. A snapshot stays when any rule keeps it. */
export interface KeepRules {
  /** The newest so many; Infinity for all. */
  readonly last?: number | undefined;
  /** The newest of each of that many hours, days, weeks, months, years that have any. */
  readonly count?: Readonly<Partial<Record<Period, number>>> | undefined;
  /** All that are less than this older than the newest. */
  readonly within?: CalendarSpan | undefined;
  /** The newest of each hour, day, … within the span. */
  readonly periodWithin?: Readonly<Partial<Record<Period, CalendarSpan>>> | undefined;
  /** All that have every tag of one of these lists. An empty tag matches a snapshot without tags. */
  readonly tags?: readonly (readonly string[])[] | undefined;
}

/** True when the rules would keep nothing at all. */
export function hasNoRules(rules: KeepRules): boolean {
  const counts = [rules.last ?? 0, ...Object.values(rules.count ?? {})];
  const spans = [rules.within, ...Object.values(rules.periodWithin ?? {})];
  return (
    counts.every((count) => count === 0) &&
    spans.every((span) => span === undefined || isZeroSpan(span)) &&
    (rules.tags ?? []).length === 0
  );
}

export interface Judged {
  readonly snapshot: Snapshot;
  /** Why it stays; empty when no rule keeps it. */
  readonly reasons: readonly string[];
}

interface Turn {
  readonly snapshot: Snapshot;
  readonly time: SnapshotTime;
  /** Counted from the newest. */
  readonly number: number;
  readonly isOldest: boolean;
}

/** Applies the rules to the snapshots of one group; pure. Newest first. */
export function applyKeepRules(snapshots: readonly Snapshot[], rules: KeepRules, nowMs: number): Judged[] {
  const sorted = newestFirst(snapshots);
  const latest = sorted.find(({ time }) => time.ns < BigInt(nowMs) * 1_000_000n)?.time;
  const judges = [
    ...(rules.tags ?? []).map(tagJudge),
    ...(rules.within === undefined ? [] : [withinJudge(rules.within, latest)]),
    countJudge('last snapshot', rules.last ?? 0, ({ number }) => number),
    ...periods.map((period) =>
      countJudge(`${period} snapshot`, rules.count?.[period] ?? 0, ({ time }) => bucketOf(period, time)),
    ),
    ...periods.flatMap((period) => {
      const span = rules.periodWithin?.[period];
      return span === undefined ? [] : [periodWithinJudge(period, span, latest)];
    }),
  ];
  return sorted.map(({ snapshot, time }, number) => {
    const turn = { snapshot, time, number, isOldest: number === sorted.length - 1 };
    return { snapshot, reasons: judges.flatMap((judge) => judge(turn) ?? []) };
  });
}

export function newestFirst(
  snapshots: readonly Snapshot[],
): { readonly snapshot: Snapshot; readonly time: SnapshotTime }[] {
  return snapshots
    .map((snapshot) => ({ snapshot, time: readSnapshotTime(snapshot.time) }))
    .sort((a, b) => (a.time.ns === b.time.ns ? 0 : a.time.ns > b.time.ns ? -1 : 1));
}

/** True when it has all of these tags. */
export function hasTags(snapshot: Snapshot, tags: readonly string[]): boolean {
  if (snapshot.tags.length === 0 && tags.includes('')) return true;
  return tags.every((tag) => snapshot.tags.includes(tag));
}

/** Says why a snapshot stays, or undefined. Called for each snapshot, newest first. */
type Judge = (turn: Turn) => string | undefined;

function tagJudge(tags: readonly string[]): Judge {
  return ({ snapshot }) => (hasTags(snapshot, tags) ? `has tags [${tags.join(', ')}]` : undefined);
}

function withinJudge(span: CalendarSpan, latest: SnapshotTime | undefined): Judge {
  const isWithin = withinTest(span, latest);
  return ({ time }) => (isWithin(time) ? `within ${formatSpan(span)}` : undefined);
}

/** When all snapshots are in the future, everything is within any span. */
function withinTest(span: CalendarSpan, latest: SnapshotTime | undefined): (time: SnapshotTime) => boolean {
  if (isZeroSpan(span)) return () => false;
  const limit = latest && before(latest, span);
  return ({ ns }) => limit === undefined || ns > limit;
}

/**
 * Keeps the newest of each of `count` buckets. While some are left, the oldest snapshot stays too, so that
 * the history reaches back as far as possible.
 */
function countJudge(reason: string, count: number, bucket: (turn: Turn) => number): Judge {
  let left = count;
  let last = -1;
  return (turn) => {
    if (left <= 0) return undefined;
    const current = bucket(turn);
    const isNew = current !== last;
    if (!isNew && !turn.isOldest) return undefined;
    last = current;
    left--;
    return isNew ? reason : `oldest ${reason}`;
  };
}

function periodWithinJudge(period: Period, span: CalendarSpan, latest: SnapshotTime | undefined): Judge {
  const isWithin = withinTest(span, latest);
  const judge = countJudge(`${period} within ${formatSpan(span)}`, Number.POSITIVE_INFINITY, ({ time }) =>
    bucketOf(period, time),
  );
  return (turn) => (isWithin(turn.time) ? judge(turn) : undefined);
}

function bucketOf(period: Period, time: SnapshotTime): number {
  const { year, month, day, hour } = time;
  switch (period) {
    case 'hourly':
      return ((year * 100 + month) * 100 + day) * 100 + hour;
    case 'daily':
      return (year * 100 + month) * 100 + day;
    case 'weekly':
      return isoWeek(time);
    case 'monthly':
      return year * 100 + month;
    case 'yearly':
      return year;
  }
}

/** A snapshot's time on the clock of its machine, which decides where its days begin and end. */
interface SnapshotTime {
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  /** The clock's offset from UTC. */
  readonly offsetMs: number;
}

const pattern = /^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/** Parses RFC 3339; anything else is parsed by JavaScript, as UTC. */
function readSnapshotTime(text: string): SnapshotTime {
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

/** The moment a calendar span before `time`, in nanoseconds since 1970. */
function before(time: SnapshotTime, span: CalendarSpan): bigint {
  const ms = Number(time.ns / 1_000_000n);
  const finer = time.ns % 1_000_000n;
  const dayMs = isLocal(ms, time.offsetMs) ? localBefore(ms, span) : fixedBefore(ms, time.offsetMs, span);
  // Further back than dates go, everything is later.
  const bounded = Number.isNaN(dayMs) ? -8.64e15 : dayMs;
  return BigInt(bounded) * 1_000_000n + finer - BigInt(span.hours) * 3_600_000_000_000n;
}

/**
 * A clock with this machine's offset at that moment is assumed to be in the same place, with its summer time.
 */
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

/** The ISO 8601 year and week as one number: 202653. */
function isoWeek({ year, month, day }: SnapshotTime): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // A week belongs to the year of its Thursday.
  date.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  const first = new Date(0);
  first.setUTCFullYear(date.getUTCFullYear(), 0, 1);
  const week = Math.floor((date.getTime() - first.getTime()) / 86_400_000 / 7) + 1;
  return date.getUTCFullYear() * 100 + week;
}
