import { isDuration, parseDuration } from './duration.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';

const dateAndTime =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(?:(Z|[+-]\d\d:?\d\d)|\[([\w+/-]+)\])?)?$/i;

const clockOnly = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;
const dayAndClock = /^([a-z]+)(?:[T -](\d\d:\d\d(?::\d\d)?))?$/i;
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/**
 * The instant that `text` names, in the syntax of `@TIME`: `now`, `today`, `yesterday`, `monday`, `14:00`,
 * `yesterday-14:00`, `2026-01-31`, `2026-01-31T12:00`, `2026-01-31 12:00:30Z`,
 * `2026-01-31T12:00[Europe/Berlin]`, or how long ago (`3h`). Times without a zone are local. A weekday is the
 * last one before today.
 *
 * A day, a minute or a second means its end: `pg@2026-01-31` is the volume at the end of that day, and a
 * snapshot's time as listed finds that snapshot.
 */
export function parseTime(text: string, now: Date): Date {
  const time = relativeTime(text, now) ?? absoluteTime(text);
  if (time === undefined) {
    throw new AppError('usage', `Cannot read time ${quote(text)}`, {
      hint: 'Write times like "yesterday", "3h" (three hours ago), "14:00", "monday", "2026-01-31", "2026-01-31T12:00" or "2026-01-31T12:00[Europe/Berlin]".',
    });
  }
  return time;
}

/** True for what `parseTime` accepts. */
export function isTime(text: string): boolean {
  return relativeTime(text, new Date(0)) !== undefined || absoluteTime(text) !== undefined;
}

function relativeTime(text: string, now: Date): Date | undefined {
  if (text === 'now') return new Date(now);
  if (clockOnly.test(text)) return atClock(now, { days: 0, clock: text });
  const [, name = '', clock] = dayAndClock.exec(text) ?? [];
  const days = daysAgo(name.toLowerCase(), now);
  if (days !== undefined) return atClock(now, { days, clock });
  if (!isDuration(text)) return undefined;
  const time = new Date(now.getTime() - parseDuration(text));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function daysAgo(name: string, now: Date): number | undefined {
  if (name === 'today') return 0;
  if (name === 'yesterday') return 1;
  const weekday = weekdays.indexOf(name);
  return weekday === -1 ? undefined : (now.getDay() - weekday + 7) % 7 || 7;
}

/** The end of a day, or of a minute or second of it. */
function atClock(
  now: Date,
  { days, clock = '23:59' }: { readonly days: number; readonly clock?: string | undefined },
): Date | undefined {
  const match = clockOnly.exec(clock);
  if (match === null) return undefined;
  const [, hour, minute, second = '59'] = match;
  const day = now.getDate() - days;
  return new Date(now.getFullYear(), now.getMonth(), day, Number(hour), Number(minute), Number(second), 999);
}

function absoluteTime(text: string): Date | undefined {
  const match = dateAndTime.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone, zoneName] = match;
  const clock = `${hour ?? '23'}:${minute ?? '59'}:${second ?? '59'}${milliseconds(fraction)}`;
  // Date accepts the 31st of a month that has 30 days and gives the next month's 1st: a typo would restore
  // another day.
  if (Number(day) < 1 || Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate())
    return undefined;
  if (Number(hour ?? 0) > 23) return undefined;
  if (zoneName !== undefined) {
    const wall = [year, month, day, hour, minute, second ?? '59', milliseconds(fraction).slice(1)].map(
      Number,
    );
    return inZone(wall, zoneName);
  }
  const time = new Date(`${year}-${month}-${day}T${clock}${zoneOf(zone)}`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function inZone(wall: readonly number[], zone: string): Date | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = wall;
  if (month < 1 || month > 12 || minute > 59 || second > 59 || !isZone(zone)) return undefined;
  return new Date(zonedInstant({ year, month, day, hour, minute, second, ms }, zone));
}

function milliseconds(fraction: string | undefined): string {
  return fraction === undefined ? '.999' : `${fraction}00`.slice(0, 4);
}

function zoneOf(zone: string | undefined): string {
  if (zone === undefined) return '';
  return zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
}

/**
 * The start of a period, in the syntax of `parseTime`: here a day, a minute and a second mean their
 * beginning. `now` is now, and `3h` is three hours ago.
 */
export function parseSince(text: string, now: Date): Date {
  const time = parseTime(text, now);
  if (text === 'now') return time;
  if (/^(?:[a-z]+|\d{4}-\d\d-\d\d)$/i.test(text))
    return new Date(time.getFullYear(), time.getMonth(), time.getDate());
  if (!/\d\d:\d\d/.test(text)) return time;
  const start = new Date(time);
  if (/(?:^|[T -])\d\d:\d\d(?:Z|[+-]\d\d:?\d\d|\[.*\])?$/i.test(text)) start.setUTCSeconds(0, 0);
  else if (!/\.\d/.test(text)) start.setUTCMilliseconds(0);
  return start;
}

/** A time as a wall clock shows it. */
interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
}

/** True for the name of a time zone, such as `Europe/Berlin` or `UTC`. */
export function isZone(name: string): boolean {
  try {
    return offsetAt(0, name) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The instant at which a clock in that zone shows that time, in milliseconds since 1970. An hour that occurs
 * twice, when clocks are set back, means the second; an hour that is skipped means what the clock shows
 * instead.
 */
export function zonedInstant(wall: WallTime, zone: string): number {
  const { year, month, day, hour, minute, second, ms } = wall;
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second, ms);
  // Clocks are never changed twice within two days.
  const offsets = [asUtc - 86_400_000, asUtc + 86_400_000].map((at) => offsetAt(at, zone));
  const instants = offsets.map((offset) => asUtc - offset);
  const shown = instants.filter((instant, index) => offsetAt(instant, zone) === offsets[index]);
  return shown.length > 0 ? Math.max(...shown) : Math.max(...instants);
}

/** The zone's offset from UTC, in milliseconds. */
function offsetAt(instant: number, zone: string): number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  const shown = Date.UTC(
    number('year'),
    number('month') - 1,
    number('day'),
    number('hour'),
    number('minute'),
    number('second'),
  );
  return shown - Math.floor(instant / 1000) * 1000;
}
