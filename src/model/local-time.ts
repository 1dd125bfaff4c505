import { fromText, toPrintable } from './byte-string.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/**
 * A local time as RFC 3339 to the second, with its offset from UTC, so that it means the same elsewhere and
 * later. `@TIME` reads it.
 */
export function localTime(time: string | number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return toPrintable(fromText(String(time)));
  const aheadMinutes = -date.getTimezoneOffset();
  const shown = new Date(date.getTime() + aheadMinutes * 60_000).toISOString().slice(0, -'.000Z'.length);
  return shown + formatOffset(aheadMinutes);
}

function formatOffset(aheadMinutes: number): string {
  if (aheadMinutes === 0) return 'Z';
  const length = Math.abs(aheadMinutes);
  return `${aheadMinutes < 0 ? '-' : '+'}${two(Math.floor(length / 60))}:${two(length % 60)}`;
}

function two(part: number): string {
  return String(part).padStart(2, '0');
}

/** A wall clock time. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/**
 * The instant at which clocks of a time zone (`Europe/Berlin`, `UTC`) show a time; this machine's zone by
 * default. A time that occurs twice is the first; one that is skipped moves by the length of the gap.
 * Undefined for a date that does not exist.
 */
export function instantOf(time: WallTime, timeZone: string | undefined): Date | undefined {
  if (!exists(time)) return undefined;
  const { year, month, day, hour, minute, second } = time;
  if (timeZone === undefined) return new Date(year, month - 1, day, hour, minute, second);
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second);
  // Offsets differ by hours at most, so the offsets a day before and after are the candidates.
  const offsets = [-86_400_000, 86_400_000].map((shift) => offsetMs(asUtc + shift, timeZone));
  const fitting = offsets
    .map((offset) => asUtc - offset)
    .filter((ms) => offsetMs(ms, timeZone) === asUtc - ms);
  return new Date(fitting.length > 0 ? Math.min(...fitting) : asUtc - (offsets[0] ?? 0));
}

/** Throws `usage` for anything but a time zone. */
export function checkTimeZone(timeZone: string): string {
  try {
    formatter(timeZone);
    return timeZone;
  } catch {
    throw new AppError('usage', `There is no time zone ${quote(timeZone)}`, {
      hint: 'Write names like "Europe/Berlin", or "UTC".',
    });
  }
}

function exists({ year, month, day, hour, minute, second }: WallTime): boolean {
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return (
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second
  );
}

/** The zone's offset from UTC at an instant. */
function offsetMs(ms: number, timeZone: string): number {
  const parts = new Map(
    formatter(timeZone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const at = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  const shown = Date.UTC(at('year'), at('month') - 1, at('day'), at('hour'), at('minute'), at('second'));
  return shown - Math.floor(ms / 1000) * 1000;
}

function formatter(timeZone: string): Intl.DateTimeFormat {
  const digits = '2-digit';
  return new Intl.DateTimeFormat('en', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: digits, day: digits },
    ...{ hour: digits, minute: digits, second: digits },
  });
}
