import { type CalendarSpan, formatSpan, isZeroSpan } from './calendar-span.ts';
import type { Snapshot } from './snapshot.ts';
import { before, isoWeek, readSnapshotTime, type SnapshotTime } from './snapshot-time.ts';

export const periods = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Period = (typeof periods)[number];

/** What is kept of a group of snapshots, as restic's policies have it. A snapshot stays when any rule keeps it. */
export interface KeepRules {
  /** How many; Infinity is all. */
  readonly last?: number | undefined;
  /** The newest of each of that many hours, days, weeks, months, years in which there are any. */
  readonly count?: Readonly<Partial<Record<Period, number>>> | undefined;
  /** All that are newer than the newest by less than this. */
  readonly within?: CalendarSpan | undefined;
  /** The newest of each hour, day, … of those. */
  readonly periodWithin?: Readonly<Partial<Record<Period, CalendarSpan>>> | undefined;
  /** All that have every tag of one of these lists. An empty tag stands for having none. */
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

/** Says why a snapshot stays, or undefined. Asked for each snapshot in turn, the newest first. */
type Judge = (turn: Turn) => string | undefined;

function tagJudge(tags: readonly string[]): Judge {
  return ({ snapshot }) => (hasTags(snapshot, tags) ? `has tags [${tags.join(', ')}]` : undefined);
}

function withinJudge(span: CalendarSpan, latest: SnapshotTime | undefined): Judge {
  const isWithin = withinTest(span, latest);
  return ({ time }) => (isWithin(time) ? `within ${formatSpan(span)}` : undefined);
}

/** Without any snapshot that is not in the future, everything is within any span. */
function withinTest(span: CalendarSpan, latest: SnapshotTime | undefined): (time: SnapshotTime) => boolean {
  if (isZeroSpan(span)) return () => false;
  const limit = latest && before(latest, span);
  return ({ ns }) => limit === undefined || ns > limit;
}

/**
 * Keeps the newest of each of `count` buckets. While it has some left, the oldest snapshot stays, too: so the history
 * reaches back as far as it can.
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
