import { Cron } from 'croner';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Schedule } from '../model/policy.ts';

/** A schedule for queries. Times are milliseconds since 1970. */
export interface Timetable {
  /** The first time after `afterMs`; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The last time at or before `untilMs`. */
  last(untilMs: number): number | undefined;
}

/** Two consecutive times of a schedule. */
interface Interval {
  readonly last: number;
  readonly next: number;
}

/**
 * Throws `usage` for an invalid pattern or zone, and for a pattern that never matches.
 *
 * A time that the clock skips in spring is moved to the first moment after the gap, and one that occurs twice
 * in autumn is used once; patterns with `*` or a step follow elapsed time, so hourly is hourly on both days.
 */
export function openTimetable({ patterns, timeZone }: Schedule): Timetable {
  const crons = patterns.map((pattern) => openCron(pattern, timeZone));
  const next = (afterMs: number): number | undefined =>
    least(crons.map((cron) => cron.nextRun(floorSecond(afterMs))?.getTime()));
  const last = (untilMs: number): number | undefined =>
    greatest(crons.map((cron) => cron.previousRuns(1, floorSecond(untilMs + 1000))[0]?.getTime()));
  // Many volumes query the same few times.
  const known: Interval[] = [];
  const around = (timeMs: number): Interval | undefined => {
    const found = known.find((one) => one.last <= timeMs && timeMs < one.next);
    if (found !== undefined) return found;
    const before = known.find((one) => one.next <= timeMs && timeMs < one.next + (one.next - one.last))?.next;
    const lastMs = before ?? last(timeMs);
    const nextMs = next(lastMs ?? timeMs);
    if (lastMs === undefined || nextMs === undefined) return undefined;
    // The next time found may have passed already.
    if (nextMs <= timeMs) return remember({ last: last(timeMs) ?? lastMs, next: next(timeMs) ?? nextMs });
    return remember({ last: lastMs, next: nextMs });
  };
  const remember = (interval: Interval): Interval => {
    known.unshift(interval);
    known.length = Math.min(known.length, 8);
    return interval;
  };
  return {
    next: (afterMs) => around(afterMs)?.next ?? next(afterMs),
    last: (untilMs) => around(untilMs)?.last ?? last(untilMs),
  };
}

/** Parses each schedule once, however many callers use it. */
export function timetables(): (schedule: Schedule) => Timetable {
  const opened = new Map<string, Timetable>();
  return (schedule) => {
    const key = JSON.stringify([schedule.patterns, schedule.timeZone]);
    const timetable = opened.get(key) ?? openTimetable(schedule);
    opened.set(key, timetable);
    return timetable;
  };
}

/** For people: the patterns, and the time zone where one is set. */
export function formatSchedule({ patterns, timeZone }: Schedule): string {
  return `${patterns.join(', ')}${timeZone === undefined ? '' : ` (${timeZone})`}`;
}

/** The times in a span, without its start, at most `atMost` of them. */
export function timesBetween(
  timetable: Timetable,
  span: { readonly afterMs: number; readonly untilMs: number; readonly atMost: number },
): number[] {
  const times: number[] = [];
  let time = timetable.next(span.afterMs);
  while (time !== undefined && time <= span.untilMs && times.length < span.atMost) {
    times.push(time);
    time = timetable.next(time);
  }
  return times;
}

/**
 * The longest gap between two consecutive times. Gaps of more than a day are all found: within 400 days, and
 * within nine years for schedules of once a month or less. Shorter ones are searched where they differ, on
 * nine consecutive days and one of each month, and those below two hours among the next few times.
 */
export function longestGapMs(timetable: Timetable, fromMs: number): number {
  const year = { fromMs, untilMs: fromMs + 400 * dayMs, stepMs: dayMs };
  const days = gapAbove(timetable, year);
  if (days > 28 * dayMs) return gapAbove(timetable, { ...year, untilMs: fromMs + 9 * 366 * dayMs });
  if (days > 0) return days;
  const months = Array.from({ length: 12 }, (_, month) => fromMs + month * 31 * dayMs);
  const hours = [
    gapAbove(timetable, { fromMs, untilMs: fromMs + 9 * dayMs, stepMs: 2 * hourMs }),
    ...months.map((time) => gapAbove(timetable, { fromMs: time, untilMs: time + dayMs, stepMs: 2 * hourMs })),
  ];
  const longest = Math.max(...hours);
  if (longest > 0) return longest;
  const times = timesBetween(timetable, { afterMs: fromMs, untilMs: Number.POSITIVE_INFINITY, atMost: 300 });
  return times.reduce((most, time, index) => Math.max(most, time - (times[index - 1] ?? time)), 0);
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * The longest gap that begins in a span, if it is longer than `stepMs`, otherwise 0. Queries once for each
 * step or gap, whichever is longer: where the last time before the end of a step is a later one, no gap up to
 * it is longer than the step.
 */
function gapAbove(
  timetable: Timetable,
  { fromMs, untilMs, stepMs }: { readonly fromMs: number; readonly untilMs: number; readonly stepMs: number },
): number {
  let longest = 0;
  let at = timetable.last(fromMs) ?? timetable.next(fromMs);
  while (at !== undefined && at < untilMs) {
    const reached = timetable.last(at + Math.max(stepMs, longest));
    if (reached !== undefined && reached > at) at = reached;
    else {
      const next = timetable.next(at);
      if (next !== undefined) longest = Math.max(longest, next - at);
      at = next;
    }
  }
  return longest;
}

function openCron(pattern: string, timeZone: string | undefined): Cron {
  const problem = (): string => `Cannot read the schedule ${quote(pattern)}`;
  const cron = attempt(() => {
    // The library would accept a date as a single event.
    if (/^\s*\d{4}-/.test(pattern)) throw new AppError('usage', 'It is a date');
    return new Cron(pattern, {
      paused: true,
      mode: '5-or-6-parts',
      fixedTimeRule: 'no-wildcard',
      ...(timeZone === undefined ? {} : { timezone: timeZone }),
    });
  }, problem);
  // The library checks a zone only when a time is requested.
  if (
    attempt(
      () => cron.nextRun(),
      () => zoneProblem(timeZone) ?? problem(),
    ) === null
  )
    throw new AppError('usage', `The schedule ${quote(pattern)} never comes`);
  return cron;
}

function zoneProblem(timeZone: string | undefined): string | undefined {
  if (timeZone === undefined) return undefined;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return undefined;
  } catch {
    return `There is no time zone ${quote(timeZone)}`;
  }
}

function attempt<T>(act: () => T, problem: () => string): T {
  try {
    return act();
  } catch (error) {
    throw new AppError('usage', problem(), {
      detail: error instanceof Error ? error.message.replace(/^Cron\w*: /, '') : undefined,
      hint: 'A schedule is "MINUTE HOUR DAY MONTH WEEKDAY", such as "30 3 * * *", or @hourly, @daily, @weekly, @monthly; a zone is like "Europe/Berlin".',
      cause: error,
    });
  }
}

/** The library counts in whole seconds, and "after" excludes the given second. */
function floorSecond(timeMs: number): Date {
  return new Date(Math.floor(timeMs / 1000) * 1000);
}

function least(times: readonly (number | undefined)[]): number | undefined {
  return times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined);
}

function greatest(times: readonly (number | undefined)[]): number | undefined {
  return times.reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a), undefined);
}
